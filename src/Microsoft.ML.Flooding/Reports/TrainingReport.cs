using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Reports;
using OxyPlot;
using OxyPlot.SkiaSharp;

namespace Microsoft.ML.Flooding;

/// <summary>Saves the learning curves of a training run to files.</summary>
public static class TrainingReport
{
    private const int Width = 860;
    private const int Height = 400;

    /// <summary>
    /// Writes a self-contained HTML file: the losses with the flood level as water and the stages of overfitting, the accuracy, the flooded
    /// share, the runs of a search, the calibration and the confusion matrix if they are given, and the settings. The file needs no network
    /// access and follows the reader's light or dark scheme.
    /// </summary>
    /// <param name="history">The history of a trained model.</param>
    /// <param name="path">The path of the file. An existing file is overwritten.</param>
    /// <param name="options">What the report shows besides the history.</param>
    /// <exception cref="InvalidOperationException">The history has no epochs.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void SaveReport(this TrainingHistory history, string path, ReportOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        File.WriteAllText(path, HtmlReport.Of(Checked(history), options ?? new ReportOptions(), Width, Height));
    }

    /// <summary>
    /// Writes the plots of the report as PNG files with a white background: losses.png, gradient.png, and one file for each other plot that
    /// has data.
    /// </summary>
    /// <param name="history">The history of a trained model.</param>
    /// <param name="folder">The folder of the files, created if it does not exist.</param>
    /// <param name="options">What the plots show besides the history. The confusion matrix is a table and has no plot.</param>
    /// <exception cref="InvalidOperationException">The history has no epochs.</exception>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public static void SavePlots(this TrainingHistory history, string folder, ReportOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        Directory.CreateDirectory(folder);
        // Text shaping needs HarfBuzz's native library; plain labels do not need text shaping.
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
        return history.Epochs.Count > 0
            ? history
            : throw new InvalidOperationException("The history has no epochs, so there is nothing to report. Train at least one epoch.");
    }
}

/// <summary>What a report shows besides the training history.</summary>
public sealed record ReportOptions
{
    /// <summary>The heading. Default: "Training report".</summary>
    public string Title { get; init; } = "Training report";

    /// <summary>
    /// The calibration for the reliability diagram, from <c>mlContext.MulticlassClassification.EvaluateCalibration</c>. Default: null, no
    /// diagram.
    /// </summary>
    public CalibrationMetrics? Calibration { get; init; }

    /// <summary>
    /// The confusion matrix for a table, from <c>mlContext.MulticlassClassification.Evaluate</c>. Default: null, no table.
    /// </summary>
    public ConfusionMatrix? ConfusionMatrix { get; init; }

    /// <summary>
    /// The names of the classes of the confusion matrix, from <see cref="FloodedImageClassificationTransformer.Labels"/>. Default: their
    /// numbers from 1.
    /// </summary>
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>Returns the title and what the report shows.</summary>
    public override string ToString() => string.Join("; ", new[]
    {
        Title,
        Calibration?.ToString(),
        ConfusionMatrix is { } matrix ? $"Confusion matrix of {matrix.NumberOfClasses} classes" : null,
        Labels is { } labels ? $"Labels {string.Join(", ", labels)}" : null,
    }.OfType<string>());
}
