namespace Microsoft.ML.Flooding.Objectives;

/// <summary>
/// The mean cross-entropy of the predictions with (1 - s) y + s u, where y is the label and u is uniform (Szegedy et al., "Rethinking the
/// Inception Architecture for Computer Vision", CVPR 2016).
/// </summary>
/// <param name="smoothing">s, in [0, 1).</param>
internal sealed class SmoothedLabels(double smoothing) : Objective
{
    public override Descent Of(BatchLoss loss) => new(loss.Average(
        loss.PerSample.mul(1 - smoothing).sub(loss.LogProbabilities.mean([1]).mul(smoothing))));
}
