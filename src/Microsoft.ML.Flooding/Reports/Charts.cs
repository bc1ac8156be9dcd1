using System.Globalization;
using OxyPlot;
using OxyPlot.Annotations;
using OxyPlot.Axes;
using OxyPlot.Legends;
using OxyPlot.Series;

namespace Microsoft.ML.Flooding.Reports;

/// <summary>A plot of a report.</summary>
/// <param name="Name">The name of its file, without extension.</param>
/// <param name="Title">The heading.</param>
/// <param name="Caption">A description of what the plot shows.</param>
/// <param name="Model">The drawing.</param>
internal sealed record Plot(string Name, string Title, string Caption, PlotModel Model)
{
    /// <summary>Creates all plots that have data, in the order of the report.</summary>
    public static IEnumerable<Plot> Of(TrainingHistory history, ReportOptions options)
    {
        yield return new Plot(
            "losses", "Loss",
            "Mean cross-entropy of each epoch, without the flood term. The water is at the flood level. Stages of overfitting are shaded.",
            Charts.Losses(history));
        if (Charts.Accuracy(history) is { } accuracy)
            yield return new Plot("accuracy", "Accuracy", "On the validation set, after each epoch.", accuracy);
        if (Charts.FloodedShare(history) is { } flooded)
            yield return new Plot(
                "flooded", "Flooded share",
                "The share of each epoch with a loss below the flood level, where training ascends.", flooded);
        yield return new Plot(
            "gradient", "Gradient norm", "Of the objective, at the last mini-batch of each epoch.", Charts.GradientNorm(history));
        if (Charts.Trials(history) is { } trials)
            yield return new Plot(
                "trials", "Search for the flood level",
                "Validation loss of each run of the search. A deeper color means a higher level.", trials);
        if (options.Calibration is { } calibration)
            yield return new Plot(
                "reliability", "Reliability",
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"Expected calibration error {calibration.ExpectedCalibrationError:0.0000} over {calibration.Count:n0} rows, "
                    + $"largest {calibration.MaximumCalibrationError:0.0000}. Bars below the diagonal are overconfident."),
                Charts.Reliability(calibration));
    }
}

/// <summary>The plots of a report.</summary>
internal static class Charts
{
    /// <summary>If the ratio of the highest to the lowest loss is smaller, a linear axis is easier to read.</summary>
    private const double LogarithmicFrom = 20;

    /// <summary>The loss curves, with the flood level as water and the stages of overfitting shaded.</summary>
    public static PlotModel Losses(TrainingHistory history)
    {
        var epochs = history.Epochs;
        var losses = epochs.SelectMany(e => new[] { e.TrainingLoss, e.ValidationLoss, e.AveragedValidationLoss }).OfType<double>()
            .Where(l => l > 0 && double.IsFinite(l)).ToArray();
        // With one class, each loss is 0.
        var highest = losses.DefaultIfEmpty(history.FloodLevel > 0 ? history.FloodLevel : 1).Max();
        var lowest = losses.Append(history.FloodLevel > 0 ? history.FloodLevel : highest).Min();
        var logarithmic = highest / lowest > LogarithmicFrom;
        var top = highest * (logarithmic ? 1.5 : 1.1);
        var model = Create("Epoch");
        Axis axis = logarithmic ? new LogarithmicAxis { Minimum = lowest / 2 } : new LinearAxis { Minimum = 0 };
        (axis.Position, axis.Title, axis.Maximum) = (AxisPosition.Left, "Cross-entropy (nats)", top);
        model.Axes.Add(Styled(axis));
        Shade(model, history.Stages.GapGrows, Palette.StageA, "[A]", top);
        Shade(model, history.Stages.ValidationLossRises, Palette.StageB, "[B]", top);
        Shade(model, history.Stages.TrainingLossNearZero, Palette.StageC, "[C]", top);
        if (history.FloodLevel > 0)
        {
            model.Annotations.Add(new RectangleAnnotation
            {
                MaximumY = history.FloodLevel,
                Fill = OxyColor.FromAColor(70, Palette.Water),
                Layer = AnnotationLayer.BelowSeries,
            });
            model.Annotations.Add(new LineAnnotation
            {
                Type = LineAnnotationType.Horizontal,
                Y = history.FloodLevel,
                Color = Palette.Water,
                LineStyle = LineStyle.Solid,
                StrokeThickness = 2,
                Text = string.Create(CultureInfo.InvariantCulture, $"flood level b = {history.FloodLevel}"),
                TextColor = Palette.Ink,
                TextHorizontalAlignment = HorizontalAlignment.Left,
                TextVerticalAlignment = VerticalAlignment.Top,
                TextLinePosition = 0.01,
                Layer = AnnotationLayer.BelowSeries,
            });
        }
        model.Series.Add(Line("training", Palette.Training, epochs, e => e.TrainingLoss));
        Add(model, "validation", Palette.Validation, epochs, e => e.ValidationLoss);
        Add(model, "validation, averaged weights", Palette.Averaged, epochs, e => e.AveragedValidationLoss);
        return model;
    }

    /// <summary>The validation accuracy after each epoch; null without a validation set.</summary>
    public static PlotModel? Accuracy(TrainingHistory history)
    {
        if (history.Epochs.All(e => e.ValidationAccuracy is null))
            return null;
        var model = Create("Epoch");
        model.Axes.Add(Styled(new LinearAxis
        {
            Position = AxisPosition.Left,
            Title = "Validation accuracy",
            StringFormat = "P0",
            MaximumPadding = 0.05,
            MinimumPadding = 0.05,
        }));
        Add(model, "raw weights", Palette.Validation, history.Epochs, e => e.ValidationAccuracy);
        Add(model, "averaged weights", Palette.Averaged, history.Epochs, e => e.AveragedValidationAccuracy);
        return model;
    }

    /// <summary>The flooded share of each epoch; null if nothing was flooded.</summary>
    public static PlotModel? FloodedShare(TrainingHistory history)
    {
        if (history.Epochs.All(e => e.FloodedShare == 0))
            return null;
        var model = Create("Epoch");
        model.Axes.Add(Styled(new LinearAxis
        {
            Position = AxisPosition.Left,
            Title = "Share below the flood level",
            StringFormat = "P0",
            Minimum = 0,
            Maximum = 1,
        }));
        var area = new AreaSeries
        {
            Title = "flooded",
            Color = Palette.Water,
            Fill = OxyColor.FromAColor(70, Palette.Water),
            StrokeThickness = 2,
            ConstantY2 = 0,
        };
        area.Points.AddRange(history.Epochs.Select(e => new DataPoint(e.Epoch, e.FloodedShare)));
        model.Series.Add(area);
        return model;
    }

    /// <summary>The norm of the gradient after each epoch.</summary>
    public static PlotModel GradientNorm(TrainingHistory history)
    {
        var model = Create("Epoch");
        model.Axes.Add(Styled(new LinearAxis
        {
            Position = AxisPosition.Left,
            Title = "Gradient norm, last mini-batch",
            Minimum = 0,
            MaximumPadding = 0.05,
        }));
        model.Series.Add(Line("gradient norm", Palette.Training, history.Epochs, e => e.GradientNorm));
        return model;
    }

    /// <summary>The validation losses of all runs of a search; null without a search.</summary>
    public static PlotModel? Trials(TrainingHistory history)
    {
        if (history.Trials.Count == 0)
            return null;
        var model = Create("Epoch");
        model.Axes.Add(Styled(new LinearAxis
        {
            Position = AxisPosition.Left,
            Title = "Validation loss (nats)",
            MaximumPadding = 0.05,
            MinimumPadding = 0.05,
        }));
        foreach (var (trial, i) in history.Trials.Select((t, i) => (t, i)))
        {
            var chosen = trial.IsOf(history);
            var line = Line(
                string.Create(CultureInfo.InvariantCulture, $"{trial.Describe(history)}{(chosen ? ", chosen" : "")}"),
                chosen ? Palette.Training : Shade(i, history.Trials.Count),
                trial.History.Epochs, e => trial.History.AveragedWeights ? e.AveragedValidationLoss : e.ValidationLoss);
            line.StrokeThickness = chosen ? 3 : 1.2;
            model.Series.Add(line);
        }
        return model;
    }

    /// <summary>The reliability diagram: accuracy over confidence.</summary>
    public static PlotModel Reliability(CalibrationMetrics calibration)
    {
        var model = Create("Confidence");
        model.Axes[0].Minimum = 0;
        model.Axes[0].Maximum = 1;
        model.Axes[0].MinimumMajorStep = 0.1;
        model.Axes.Add(Styled(new LinearAxis { Position = AxisPosition.Left, Title = "Accuracy", Minimum = 0, Maximum = 1 }));
        var bars = new RectangleBarSeries
        {
            Title = "accuracy of a bin",
            FillColor = OxyColor.FromAColor(150, Palette.Validation),
            StrokeColor = Palette.Validation,
            StrokeThickness = 1,
        };
        foreach (var bin in calibration.Bins.Where(b => b.Count > 0))
            bars.Items.Add(new RectangleBarItem(bin.LowerBound, 0, bin.UpperBound, bin.Accuracy));
        model.Series.Add(bars);
        var perfect = new LineSeries
        {
            Title = "perfect calibration",
            Color = Palette.Ink,
            LineStyle = LineStyle.Dash,
            StrokeThickness = 1.5,
        };
        perfect.Points.AddRange([new DataPoint(0, 0), new DataPoint(1, 1)]);
        model.Series.Add(perfect);
        return model;
    }

    private static PlotModel Create(string horizontal)
    {
        var model = new PlotModel
        {
            DefaultFont = "sans-serif",
            DefaultFontSize = 13,
            TextColor = Palette.Ink,
            PlotAreaBorderColor = Palette.Line,
            PlotAreaBorderThickness = new OxyThickness(1, 0, 0, 1),
            Culture = CultureInfo.InvariantCulture,
        };
        model.Axes.Add(Styled(new LinearAxis { Position = AxisPosition.Bottom, Title = horizontal, MinimumMajorStep = 1 }));
        model.Legends.Add(new Legend
        {
            LegendPosition = LegendPosition.TopCenter,
            LegendPlacement = LegendPlacement.Outside,
            LegendOrientation = LegendOrientation.Horizontal,
            LegendTextColor = Palette.Ink,
        });
        return model;
    }

    private static T Styled<T>(T axis)
        where T : Axis
    {
        axis.AxislineColor = Palette.Line;
        axis.TicklineColor = Palette.Line;
        axis.MinorTicklineColor = OxyColors.Transparent;
        axis.MajorGridlineStyle = LineStyle.Solid;
        axis.MajorGridlineColor = OxyColor.FromAColor(140, Palette.Line);
        axis.TextColor = Palette.Ink;
        axis.TitleColor = Palette.Ink;
        axis.AxisTitleDistance = axis.Position == AxisPosition.Left ? 18 : 8;
        return axis;
    }

    private static void Add(
        PlotModel model, string title, OxyColor color, IReadOnlyList<EpochMetrics> epochs, Func<EpochMetrics, double?> value)
    {
        if (epochs.Any(e => value(e) is not null))
            model.Series.Add(Line(title, color, epochs, value));
    }

    private static LineSeries Line(string title, OxyColor color, IReadOnlyList<EpochMetrics> epochs, Func<EpochMetrics, double?> value)
    {
        var line = new LineSeries
        {
            Title = title,
            Color = color,
            StrokeThickness = 2,
            MarkerType = epochs.Count == 1 ? MarkerType.Circle : MarkerType.None,
            MarkerFill = color,
        };
        line.Points.AddRange(epochs.Where(e => value(e) is not null).Select(e => new DataPoint(e.Epoch, value(e)!.Value)));
        return line;
    }

    private static void Shade(PlotModel model, EpochRange? range, OxyColor color, string name, double top)
    {
        if (range is not { } epochs)
            return;
        model.Annotations.Add(new RectangleAnnotation
        {
            MinimumX = epochs.First - 0.5,
            MaximumX = epochs.Last + 0.5,
            Fill = OxyColor.FromAColor(45, color),
            Layer = AnnotationLayer.BelowAxes,
            Text = name,
            TextColor = Palette.Ink,
            TextVerticalAlignment = VerticalAlignment.Top,
            TextPosition = new DataPoint((epochs.First + epochs.Last) / 2.0, top),
        });
    }

    /// <summary>The color of a run: like water, more opaque for a higher level.</summary>
    private static OxyColor Shade(int index, int count) => OxyColor.FromAColor((byte)(110 + 145 * (index + 1) / count), Palette.Validation);
}
