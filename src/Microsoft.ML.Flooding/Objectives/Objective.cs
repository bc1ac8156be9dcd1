namespace Microsoft.ML.Flooding.Objectives;

/// <summary>What training minimises, as a function of the mini-batch's cross-entropy.</summary>
internal abstract class Objective
{
    /// <summary>Looks at one mini-batch.</summary>
    public abstract Descent Of(BatchLoss loss);
}
