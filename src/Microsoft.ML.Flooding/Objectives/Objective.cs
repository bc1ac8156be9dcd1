using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>What training minimises, as a function of the mini-batch's cross-entropy.</summary>
internal abstract class Objective
{
    /// <summary>Looks at one mini-batch.</summary>
    public abstract Descent Of(BatchLoss loss);

    /// <summary>The share of values below zero.</summary>
    private protected static Tensor ShareBelowZero(Tensor values) => values.IsBelow(0).mean([], type: ScalarType.Float32);
}
