using System.Globalization;
using System.Text.Json.Serialization;

namespace Microsoft.ML.Flooding;

/// <summary>The metrics of one epoch of training.</summary>
public sealed record EpochMetrics
{
    /// <summary>The number of the epoch, from 1.</summary>
    public required int Epoch { get; init; }

    /// <summary>
    /// Mean cross-entropy over the epoch's mini-batches while they were trained on, without the flood term; natural logarithm. Like the
    /// validation figures, it is weighted if images have weights.
    /// </summary>
    public required double TrainingLoss { get; init; }

    /// <summary>The lowest mini-batch loss of the epoch. While it is above b, a run flooded at b is the same as the plain run.</summary>
    public required double LowestBatchLoss { get; init; }

    /// <summary>
    /// The share of mini-batches with a loss below the flood level, in [0, 1]; the share of samples if the objective floods each sample.
    /// </summary>
    public required double FloodedShare { get; init; }

    /// <summary>Mean cross-entropy of the raw weights on the validation set after the epoch; null without one.</summary>
    public double? ValidationLoss { get; init; }

    /// <summary>Accuracy of the raw weights on the validation set, in [0, 1]; null without one.</summary>
    public double? ValidationAccuracy { get; init; }

    /// <summary>Mean cross-entropy of the averaged weights on the validation set; null without one or without averaging.</summary>
    public double? AveragedValidationLoss { get; init; }

    /// <summary>Accuracy of the averaged weights on the validation set, in [0, 1]; null without one or without averaging.</summary>
    public double? AveragedValidationAccuracy { get; init; }

    /// <summary>
    /// Value of the run's <see cref="Flooding.ValidationMetric.FromFunction"/> for the raw weights; null without such a metric.
    /// </summary>
    public double? ValidationMetric { get; init; }

    /// <summary>As <see cref="ValidationMetric"/>, for the averaged weights; null without averaging as well.</summary>
    public double? AveragedValidationMetric { get; init; }

    /// <summary>The learning rate of the epoch's last step.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Euclidean norm of the whole gradient of the objective at the epoch's last mini-batch.</summary>
    public required double GradientNorm { get; init; }

    /// <summary>Training images per second, without validation.</summary>
    public required double ImagesPerSecond { get; init; }

    /// <summary>Validation loss minus training loss; null without a validation set.</summary>
    [JsonIgnore]
    public double? GeneralizationGap => ValidationLoss - TrainingLoss;

    /// <summary>The number of the epoch and its main metrics, as one line.</summary>
    public override string ToString() => $"Epoch {Epoch}: {Describe()}";

    /// <summary>The main metrics, the same in every culture.</summary>
    internal string Describe()
    {
        var validation = ValidationLoss is null
            ? ""
            : Invariant($"; validation loss {ValidationLoss:0.0000}, accuracy {ValidationAccuracy:0.0000}");
        var averaged = AveragedValidationLoss is null
            ? ""
            : Invariant($"; averaged {AveragedValidationLoss:0.0000}, {AveragedValidationAccuracy:0.0000}");
        return Invariant($"training loss {TrainingLoss:0.0000}, flooded {FloodedShare:P0}") + validation + averaged
            + Invariant($"; learning rate {LearningRate:g3}, {ImagesPerSecond:n0} images/s.");

        static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
    }
}
