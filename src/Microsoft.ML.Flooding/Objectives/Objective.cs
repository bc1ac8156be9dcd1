using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>What training minimises, as a function of the mini-batch's cross-entropy.</summary>
internal abstract class Objective
{
    /// <summary>The scalar whose gradient is followed.</summary>
    public abstract Tensor Minimised(in BatchLoss loss);

    /// <summary>The share of the batch below its flood level, a scalar in [0, 1]; null where the objective has no level.</summary>
    public abstract Tensor? Flooded(in BatchLoss loss);
}
