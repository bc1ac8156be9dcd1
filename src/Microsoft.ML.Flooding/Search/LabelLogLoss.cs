using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Search;

/// <summary>
/// The log-loss of labels of which a share is wrong, as <see cref="FloodingObjective.NoisyLabels"/> describes them; with a share of 0, the
/// log-loss. It compares networks that were trained for different shares: all of them predict the same labels.
/// </summary>
internal static class LabelLogLoss
{
    /// <param name="share">The share of the labels that are wrong.</param>
    /// <param name="classes">The number of classes.</param>
    /// <param name="weights">The weights of the validation images, float32 [N], in their order; null: all count the same.</param>
    public static ValidationMetric Of(double share, int classes, Tensor? weights)
    {
        var other = share / Math.Max(classes - 1, 1);
        return ValidationMetric.FromFunction("log-loss of the labels", Compute, higherIsBetter: false);

        double Compute(Tensor probabilities, Tensor labels)
        {
            var ofLabels = probabilities.gather(1, labels.unsqueeze(1)).squeeze(1).to(ScalarType.Float64);
            var losses = ofLabels.mul(1 - share - other).add(other).clamp_min(float.Epsilon).log().neg();
            return (weights is null ? losses.mean() : losses.mul(weights).sum().div(weights.sum())).item<double>();
        }
    }
}
