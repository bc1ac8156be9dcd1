using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>
/// Temperature scaling (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017): logits are divided by one number, which changes
/// the confidence of predictions but not their class.
/// </summary>
/// <param name="Value">The temperature; 1 if none can be fitted.</param>
/// <param name="Warning">Why the temperature is doubtful; null if it is not.</param>
internal readonly record struct Temperature(double Value, string? Warning)
{
    private const double Largest = 100;
    private const int Halvings = 60;

    /// <summary>Finds the temperature in (1/100, 100) with the lowest mean cross-entropy.</summary>
    /// <param name="logits">float32 [N, K].</param>
    /// <param name="labels">int64 [N].</param>
    /// <param name="weights">float32 [N] for a weighted mean; null: all are 1.</param>
    /// <remarks>
    /// If every prediction is right, the cross-entropy is lowest at temperature 0. Labels are therefore assumed to be right with
    /// probability (N + 1) / (N + 2), Laplace's rule of succession, similar to Platt's smoothed targets ("Probabilistic Outputs for Support
    /// Vector Machines", 1999).
    /// </remarks>
    public static Temperature Fit(Tensor logits, Tensor labels, Tensor? weights = null)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var exact = logits.to(ScalarType.Float64).to(CPU);
        var share = weights?.to(CPU).to(ScalarType.Float64);
        var targets = labels.to(CPU);
        var classes = exact.shape[1];
        if (classes == 1)
            return new(1, null);
        var count = share?.sum().item<double>() ?? exact.shape[0];
        var wrong = 1 / (count + 2);
        var ofLabel = Mean(exact.gather(1, targets.unsqueeze(1)).squeeze(1));
        var ofOthers = (Mean(exact.sum(1)) - ofLabel) / (classes - 1);
        var expected = (1 - wrong) * ofLabel + wrong * ofOthers;
        // The loss is convex in 1/T. Its slope, the mean expected logit minus the mean logit of the labels, has one root.
        var (low, high) = (-Math.Log(Largest), Math.Log(Largest));
        if (!(Slope(Math.Exp(low)) < 0))
            return new(1, "No temperature is fitted: on the validation set the network is no better than chance.");
        if (!(Slope(Math.Exp(high)) > 0))
            return new(1, $"No temperature is fitted: the logits are so small that it would be below 1/{Largest}.");
        for (var i = 0; i < Halvings; i++)
        {
            var middle = (low + high) / 2;
            if (Slope(Math.Exp(middle)) > 0)
                high = middle;
            else
                low = middle;
        }
        var temperature = Math.Exp(-(low + high) / 2);
        return new(temperature, exact.argmax(1).eq(targets).all().item<bool>()
            ? $"All {exact.shape[0]} validation images are classified correctly, which does not tell how often the network is wrong. "
              + FormattableString.Invariant($"The temperature assumes one error in {count + 2:0}; more validation images tell more.")
            : null);

        double Slope(double inverse)
        {
            using var step = NewDisposeScope();
            return Mean(exact.Times(inverse).softmax(1).mul(exact).sum(1)) - expected;
        }

        double Mean(Tensor values) => (share is null ? values.mean() : values.mul(share).sum().div(share.sum())).item<double>();
    }
}
