using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Reports;
using OxyPlot;
using OxyPlot.SkiaSharp;

namespace Microsoft.ML.Flooding;

/// <summary>Learning curves of a training run, as files.</summary>
public static class TrainingReport
{
    private const int Width = 860;
    private const int Height = 400;

    /// <summary>
    /// Writes one self-contained HTML file: losses with the flood level as water and the stages of overfitting, accuracy, flooded share, the runs of a
    /// search, calibration and confusion matrix where given, and the settings. It needs no network and follows the reader's light or dark scheme.
    /// </summary>
    /// <param name="history">Of a trained model.</param>
    /// <param name="path">The file; overwritten where it exists.</param>
    /// <param name="options">What is shown besides the history.</param>
    /// <exception cref="InvalidOperationException">The history has no epochs.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void SaveReport(this TrainingHistory history, string path, ReportOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        File.WriteAllText(path, HtmlReport.Of(Checked(history), options ?? new ReportOptions(), Width, Height));
    }

    /// <summary>Writes the plots of the report as PNG files, on white: losses.png and, where there is something to show, others beside it.</summary>
    /// <param name="history">Of a trained model.</param>
    /// <param name="folder">Created where it is missing.</param>
    /// <param name="options">What is shown besides the history; a confusion matrix is a table and has no plot.</param>
    /// <exception cref="InvalidOperationException">The history has no epochs.</exception>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public static void SavePlots(this TrainingHistory history, string folder, ReportOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        Directory.CreateDirectory(folder);
        // Text shaping would need HarfBuzz's native library, which plain labels do not.
        var exporter = new PngExporter { Width = 2 * Width, Height = 2 * Height, Dpi = 192, UseTextShaping = false };
        foreach (var plot in Plot.Of(Checked(history), options ?? new ReportOptions()))
        {
            plot.Model.Background = OxyColors.White;
            using var file = File.Create(Path.Combine(folder, plot.Name + ".png"));
            exporter.Export(plot.Model, file);
        }
    }

    private static TrainingHistory Checked(TrainingHistory history)
    {
        ArgumentNullException.ThrowIfNull(history);
        return history.Epochs.Count > 0 ? history : throw new InvalidOperationException("The history has no epochs: nothing was trained.");
    }
}

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
