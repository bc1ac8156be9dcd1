using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>
/// Temperature scaling (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017): logits are divided by one number, which changes
/// confidence but no prediction.
/// </summary>
/// <param name="Value">The temperature; 1 where none can be fitted.</param>
/// <param name="Warning">Why it is to be doubted; null where it is not.</param>
internal readonly record struct Temperature(double Value, string? Warning)
{
    private const double Largest = 100;
    private const int Halvings = 60;

    /// <summary>The temperature that gives the lowest mean cross-entropy, in (1/100, 100).</summary>
    /// <param name="logits">float32 [N, K].</param>
    /// <param name="labels">int64 [N].</param>
    /// <remarks>
    /// Where every prediction is right, the cross-entropy falls all the way to temperature 0. So the labels are taken to be right with
    /// probability (N + 1) / (N + 2) only, by Laplace's rule of succession, as Platt smooths his targets ("Probabilistic Outputs for
    /// Support Vector Machines", 1999).
    /// </remarks>
    public static Temperature Fit(Tensor logits, Tensor labels)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var exact = logits.to(ScalarType.Float64).to(CPU);
        var targets = labels.to(CPU);
        var (count, classes) = (exact.shape[0], exact.shape[1]);
        if (classes == 1)
            return new(1, null);
        var wrong = 1.0 / (count + 2);
        var ofLabel = exact.gather(1, targets.unsqueeze(1)).mean().item<double>();
        var ofOthers = (exact.sum(1).mean().item<double>() - ofLabel) / (classes - 1);
        var expected = (1 - wrong) * ofLabel + wrong * ofOthers;
        // The loss is convex in 1/T: its slope there, the mean expected logit less that of the labels, has one root.
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
            ? $"All {count} validation images are classified correctly, which does not tell how often the network is wrong. " +
              $"The temperature assumes one error in {count + 2}; more validation images tell more."
            : null);

        double Slope(double inverse)
        {
            using var step = NewDisposeScope();
            return exact.Times(inverse).softmax(1).mul(exact).sum(1).mean().item<double>() - expected;
        }
    }
}
