using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>What training minimises, as a function of the mini-batch's cross-entropy.</summary>
internal abstract class Objective
{
    /// <summary>Looks at one mini-batch.</summary>
    /// <returns>
    /// Minimised: the scalar whose gradient is followed, but for constants, which have none. Flooded: float32 scalar in [0, 1], the share of
    /// the batch below its flood level; null where the objective has no level.
    /// </returns>
    public abstract (Tensor Minimised, Tensor? Flooded) Of(BatchLoss loss);

    /// <summary>The share of values below zero.</summary>
    private protected static Tensor ShareBelowZero(Tensor values) => values.IsBelow(0).mean([], type: ScalarType.Float32);
}
