using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>
/// Temperature scaling (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017): logits are divided by one number, which changes
/// confidence but no prediction.
/// </summary>
internal static class Temperature
{
    private const double Largest = 100;
    private const int Halvings = 60;

    /// <summary>The temperature that gives the lowest mean cross-entropy, in [1/100, 100].</summary>
    /// <param name="logits">float32 [N, K].</param>
    /// <param name="labels">int64 [N].</param>
    /// <param name="weights">float32 [N] for a weighted mean; null: all are 1.</param>
    public static double Fit(Tensor logits, Tensor labels, Tensor? weights = null)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var exact = logits.to(ScalarType.Float64).to(CPU);
        var share = weights?.to(CPU).to(ScalarType.Float64);
        var ofLabel = Mean(exact.gather(1, labels.to(CPU).unsqueeze(1)).squeeze(1));
        // The loss is convex in 1/T: its slope there, the mean expected logit less the label's, has one root.
        var (low, high) = (-Math.Log(Largest), Math.Log(Largest));
        for (var i = 0; i < Halvings; i++)
        {
            var middle = (low + high) / 2;
            if (Slope(Math.Exp(middle)) > 0)
                high = middle;
            else
                low = middle;
        }
        return Math.Exp(-(low + high) / 2);

        double Slope(double inverse)
        {
            using var step = NewDisposeScope();
            return Mean(exact.Times(inverse).softmax(1).mul(exact).sum(1)) - ofLabel;
        }

        double Mean(Tensor values) => (share is null ? values.mean() : values.mul(share).sum().div(share.sum())).item<double>();
    }
}
