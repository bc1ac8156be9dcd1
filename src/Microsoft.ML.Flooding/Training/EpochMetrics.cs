using System.Text.Json.Serialization;

namespace Microsoft.ML.Flooding;

/// <summary>What one epoch of training measured.</summary>
public sealed record EpochMetrics
{
    /// <summary>Number of the epoch, from 1.</summary>
    public required int Epoch { get; init; }

    /// <summary>
    /// Mean cross-entropy over the epoch's mini-batches as they were trained on, without the flood term; natural logarithm. Weighted where
    /// images have weights, as the figures of the validation set are.
    /// </summary>
    public required double TrainingLoss { get; init; }

    /// <summary>The lowest mini-batch loss of the epoch: while it stays at or above b, a run flooded at b is the plain run.</summary>
    public required double LowestBatchLoss { get; init; }

    /// <summary>Share of the mini-batches (of the samples, where the objective floods each) that lay below the flood level, in [0, 1].</summary>
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

    /// <summary>Learning rate of the epoch's last step.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Euclidean norm of the whole gradient at the epoch's last mini-batch, of the objective that is trained on.</summary>
    public required double GradientNorm { get; init; }

    /// <summary>Training images per second, validation not counted.</summary>
    public required double ImagesPerSecond { get; init; }

    /// <summary>Validation loss minus training loss; null without a validation set.</summary>
    [JsonIgnore]
    public double? GeneralizationGap => ValidationLoss - TrainingLoss;
}
