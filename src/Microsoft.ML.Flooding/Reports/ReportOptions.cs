using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding;

/// <summary>What a report shows besides the history.</summary>
public sealed record ReportOptions
{
    /// <summary>The heading. Default: Training report.</summary>
    public string Title { get; init; } = "Training report";

    /// <summary>Draws the reliability diagram; of <c>mlContext.MulticlassClassification.EvaluateCalibration</c>. Default: none.</summary>
    public CalibrationMetrics? Calibration { get; init; }

    /// <summary>Shown as a table; of <c>mlContext.MulticlassClassification.Evaluate</c>. Default: none.</summary>
    public ConfusionMatrix? ConfusionMatrix { get; init; }

    /// <summary>The classes of the confusion matrix, of <see cref="FloodedImageClassificationTransformer.Labels"/>. Default: their numbers from 1.</summary>
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>The title and what is shown.</summary>
    public override string ToString() => string.Join("; ", new[]
    {
        Title,
        Calibration?.ToString(),
        ConfusionMatrix is { } matrix ? $"Confusion matrix of {matrix.NumberOfClasses} classes" : null,
        Labels is { } labels ? $"Labels {string.Join(", ", labels)}" : null,
    }.OfType<string>());
}
