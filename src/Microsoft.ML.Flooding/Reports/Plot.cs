using OxyPlot;

namespace Microsoft.ML.Flooding.Reports;

/// <summary>A plot of a report.</summary>
/// <param name="Name">Of its file.</param>
/// <param name="Title">Its heading.</param>
/// <param name="Caption">What is to be seen.</param>
/// <param name="Model">The drawing.</param>
internal sealed record Plot(string Name, string Title, string Caption, PlotModel Model)
{
    /// <summary>All plots that there is something to show for, in the order of the report.</summary>
    public static IEnumerable<Plot> Of(TrainingHistory history, ReportOptions options)
    {
        yield return new Plot("losses", "Loss", "Mean cross-entropy of each epoch, without the flood term. The water stands at the flood level; stages of overfitting are shaded.", Charts.Losses(history));
        if (Charts.Accuracy(history) is { } accuracy)
            yield return new Plot("accuracy", "Accuracy", "On the validation set, after each epoch.", accuracy);
        if (Charts.FloodedShare(history) is { } flooded)
            yield return new Plot("flooded", "Flooded share", "How much of each epoch lay below its flood level and was trained uphill.", flooded);
        yield return new Plot("gradient", "Gradient norm", "Of the objective that is trained on, at the last mini-batch of each epoch.", Charts.GradientNorm(history));
        if (Charts.Trials(history) is { } trials)
            yield return new Plot("trials", "Search for the flood level", "Validation loss of the runs of the search; the deeper the colour, the higher the level.", trials);
        if (options.Calibration is { } calibration)
            yield return new Plot(
                "reliability", "Reliability",
                FormattableString.Invariant($"Expected calibration error {calibration.ExpectedCalibrationError:0.0000} over {calibration.Count:n0} rows, largest {calibration.MaximumCalibrationError:0.0000}; bars below the diagonal are over-confident."),
                Charts.Reliability(calibration));
    }
}
