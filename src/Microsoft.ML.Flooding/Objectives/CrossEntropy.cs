namespace Microsoft.ML.Flooding.Objectives;

/// <summary>The mini-batch mean itself: plain training.</summary>
internal sealed class CrossEntropy : Objective
{
    public override Descent Of(BatchLoss loss) => new(loss.Weighted);
}
