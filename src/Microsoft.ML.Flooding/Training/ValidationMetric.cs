using Microsoft.ML.Flooding.Training;
using TorchSharp;

namespace Microsoft.ML.Flooding;

/// <summary>
/// A figure of the validation set: what <see cref="EarlyStopping"/> watches, and what a search over <see cref="FloodLevels"/> compares.
/// </summary>
public sealed class ValidationMetric
{
    private readonly Func<Evaluation, double> _value;
    private bool _hasTolerance;

    private ValidationMetric(string name, bool higherIsBetter, Func<Evaluation, double> value) =>
        (Name, HigherIsBetter, _value) = (name, higherIsBetter, value);

    /// <summary>Mean cross-entropy on the validation set, natural logarithm; lower is better.</summary>
    public static ValidationMetric LogLoss { get; } = new(nameof(LogLoss), false, evaluation => evaluation.Loss);

    /// <summary>
    /// The share of the validation set that is classified correctly, in [0, 1]; higher is better. Of two equal shares, the one with the
    /// lower log-loss is better.
    /// </summary>
    public static ValidationMetric Accuracy { get; } = new(nameof(Accuracy), true, evaluation => evaluation.Accuracy);

    /// <summary>
    /// The log-loss among the epochs, or runs, whose accuracy is within one standard error of the best so far: with N validation images
    /// and accuracy a, sqrt(a (1 - a) / N). On a small validation set, the highest accuracy is mostly luck. The weights of one epoch are
    /// kept: an epoch that lost a comparison is not considered again.
    /// </summary>
    public static ValidationMetric AccuracyThenLogLoss { get; } =
        new(nameof(AccuracyThenLogLoss), true, evaluation => evaluation.Accuracy) { _hasTolerance = true };

    /// <summary>
    /// A metric of your own. Its values are in <see cref="EpochMetrics.ValidationMetric"/> and
    /// <see cref="EpochMetrics.AveragedValidationMetric"/>. A run has one at most: <see cref="EarlyStopping"/> and
    /// <see cref="FloodLevels"/> can share it, or use a built-in one.
    /// </summary>
    /// <param name="name">
    /// The name of the metric in errors and checkpoints. A checkpoint is continued only under the same name: change it when you change the
    /// function.
    /// </param>
    /// <param name="function">
    /// From the probabilities of all validation images, float32 [N, K], and their labels, int64 [N], both on the CPU and in the same
    /// order, to a finite number. The weights of images are not applied. It is called after each epoch, and once more if weights are
    /// averaged. Tensors that it creates are disposed of after the call. An exception that it throws ends the training and reaches the
    /// caller of Fit.
    /// </param>
    /// <param name="higherIsBetter">Whether a higher number is better than a lower one.</param>
    /// <exception cref="ArgumentException"><paramref name="name"/> is empty or blank.</exception>
    public static ValidationMetric FromFunction(string name, Func<torch.Tensor, torch.Tensor, double> function, bool higherIsBetter)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(function);
        return new ValidationMetric(name, higherIsBetter, evaluation => evaluation.OwnMetric!.Value) { Function = function };
    }

    /// <summary>Its name.</summary>
    public string Name { get; }

    /// <summary>Whether a higher value is better than a lower one.</summary>
    public bool HigherIsBetter { get; }

    /// <summary>The function of a user's metric; null if the metric is built in.</summary>
    internal Func<torch.Tensor, torch.Tensor, double>? Function { get; private init; }

    /// <summary>Computes a user's metric.</summary>
    /// <param name="probabilities">float32 [N, K] on the CPU.</param>
    /// <param name="labels">int64 [N] on the CPU.</param>
    /// <exception cref="InvalidOperationException">The value is not finite.</exception>
    internal double Compute(torch.Tensor probabilities, torch.Tensor labels)
    {
        using var scope = torch.NewDisposeScope();
        var value = Function!(probabilities, labels);
        return double.IsFinite(value)
            ? value
            : throw new InvalidOperationException(
                FormattableString.Invariant($"The validation metric '{Name}' returned {value}. It must return a finite number."));
    }

    /// <summary>The value in an evaluation, negated if higher is better, and the log-loss: the lower cost wins.</summary>
    internal Cost CostOf(Evaluation evaluation)
    {
        var value = _value(evaluation);
        var tolerance = _hasTolerance && evaluation.Count > 0 ? Math.Sqrt(value * (1 - value) / evaluation.Count) : 0;
        return new Cost(HigherIsBetter ? -value : value, evaluation.Loss, tolerance);
    }

    /// <summary>Its name.</summary>
    public override string ToString() => Name;
}
