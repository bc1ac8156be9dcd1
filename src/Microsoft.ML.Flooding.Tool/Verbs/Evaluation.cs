using System.Globalization;
using Microsoft.ML.Data;
using Mlflood.Data;
using Mlflood.Terminal;
using Spectre.Console;

namespace Mlflood.Verbs;

/// <summary>How a classifier does on labeled images.</summary>
/// <param name="Metrics">ML.NET's metrics.</param>
/// <param name="Calibration">The calibration of the probabilities.</param>
/// <param name="Labels">The classes of the model.</param>
/// <param name="Mistakes">The misclassified images, the most certain mistakes first.</param>
/// <param name="Count">The number of images.</param>
internal sealed record Evaluation(
    MulticlassClassificationMetrics Metrics, CalibrationMetrics Calibration, IReadOnlyList<string> Labels,
    IReadOnlyList<Mistake> Mistakes, int Count)
{
    private const int WidestTable = 10;
    private const int MostConfusions = 15;
    private const int MostMistakes = 10;
    private const int LongestName = 18;

    /// <summary>Scores images and compares the result with their labels.</summary>
    public static Evaluation Of(MLContext context, ModelColumns columns, FloodedImageClassificationTransformer classifier, ImageData data)
    {
        var unknown = data.Labels.Except(classifier.Labels).ToArray();
        if (unknown.Length == data.Labels.Count)
            throw new Failure(
                $"The model knows none of the labels {string.Join(", ", data.Labels.Take(10))}. Its classes are "
                + $"{string.Join(", ", classifier.Labels.Take(20))}.");
        if (unknown.Length > 0)
        {
            Screen.WriteWarning($"The model does not know the labels {string.Join(", ", unknown)}. Their images are left out.");
            data = data.With([.. data.Rows.Where(row => !unknown.Contains(row.Label))]);
        }
        var keys = context.Data.LoadFromEnumerable(classifier.Labels.Select(label => new LabelRow { Label = label }));
        var view = data.ToView(context, "Label", classifier.FeatureColumnName);
        var labeled = context.Transforms.Conversion.MapValueToKey("Label", keyData: keys).Fit(view).Transform(view);
        var scored = context.Data.Cache(
            classifier.Transform(labeled), "Label", nameof(ImageRow.Name), columns.Score, columns.PredictedLabel);
        var metrics = context.MulticlassClassification.Evaluate(scored, "Label", columns.Score, columns.PredictedLabel);
        var calibration = context.MulticlassClassification.EvaluateCalibration(scored, "Label", columns.Score);
        return new Evaluation(
            metrics, calibration, classifier.Labels, [.. FindMistakes(scored, columns, classifier.Labels)], data.Rows.Count);
    }

    /// <summary>Writes figures, the confusion table and, if wanted, the worst mistakes to standard output.</summary>
    public void Write(string title, bool withMistakes)
    {
        var figures = new Table { Title = new TableTitle(Markup.Escape(title)), Border = TableBorder.Rounded, ShowHeaders = false };
        figures.AddColumn("").AddColumn(new TableColumn("").RightAligned());
        figures.AddRow("images", Text($"{Count:N0}"));
        figures.AddRow("accuracy", Text($"{Metrics.MicroAccuracy * 100:0.0} %"));
        figures.AddRow("mean accuracy of the classes", Text($"{Metrics.MacroAccuracy * 100:0.0} %"));
        figures.AddRow("log-loss", Text($"{Metrics.LogLoss:0.000}"));
        figures.AddRow("expected calibration error", Text($"{Calibration.ExpectedCalibrationError * 100:0.0} %"));
        Screen.Output.Write(figures);
        Screen.Output.Write(Labels.Count <= WidestTable ? ConfusionTable() : FrequentConfusions());
        if (withMistakes && Mistakes.Count > 0)
            Screen.Output.Write(WorstMistakes());
    }

    private static IEnumerable<Mistake> FindMistakes(IDataView scored, ModelColumns columns, IReadOnlyList<string> labels)
    {
        var found = new List<Mistake>();
        using var cursor = scored.GetRowCursor(scored.Schema);
        var label = cursor.GetGetter<uint>(scored.Schema["Label"]);
        var name = cursor.GetGetter<ReadOnlyMemory<char>>(scored.Schema[nameof(ImageRow.Name)]);
        var score = cursor.GetGetter<VBuffer<float>>(scored.Schema[columns.Score]);
        var (key, text, scores) = (0u, default(ReadOnlyMemory<char>), default(VBuffer<float>));
        while (cursor.MoveNext())
        {
            label(ref key);
            score(ref scores);
            var (probability, predicted) = scores.DenseValues().Select((value, i) => (value, i)).Max();
            if (predicted == (int)key - 1 || float.IsNaN(probability))
                continue;
            name(ref text);
            found.Add(new Mistake(text.ToString(), labels[(int)key - 1], labels[predicted], probability));
        }
        return found.OrderByDescending(mistake => mistake.Probability);
    }

    private Table ConfusionTable()
    {
        var table = new Table { Title = new TableTitle("Classes by predictions"), Border = TableBorder.Rounded };
        table.AddColumn("");
        for (var i = 0; i < Labels.Count; i++)
            table.AddColumn(new TableColumn(Text($"{i + 1}")).RightAligned().NoWrap());
        for (var i = 0; i < Labels.Count; i++)
        {
            table.AddRow(
            [
                $"{i + 1} {Markup.Escape(Short(Labels[i]))}",
                .. Metrics.ConfusionMatrix.Counts[i].Select(
                    (count, j) => i == j ? $"[bold]{count:0}[/]" : count > 0 ? $"{count:0}" : "[dim]·[/]"),
            ]);
        }
        return table;
    }

    private Table FrequentConfusions()
    {
        var table = new Table { Title = new TableTitle("The most frequent confusions"), Border = TableBorder.Rounded };
        table.AddColumn("class").AddColumn("predicted as").AddColumn(new TableColumn("images").RightAligned());
        var confusions = Mistakes.CountBy(mistake => (mistake.Label, mistake.Predicted)).OrderByDescending(pair => pair.Value);
        foreach (var (pair, count) in confusions.Take(MostConfusions))
            table.AddRow(Markup.Escape(pair.Label), Markup.Escape(pair.Predicted), Text($"{count}"));
        return table;
    }

    private Table WorstMistakes()
    {
        var table = new Table { Title = new TableTitle("The worst mistakes"), Border = TableBorder.Rounded };
        table.AddColumn("image").AddColumn("is").AddColumn("predicted as")
            .AddColumn(new TableColumn("probability").RightAligned().NoWrap());
        foreach (var mistake in Mistakes.Take(MostMistakes))
        {
            table.AddRow(
                Markup.Escape(mistake.Name), Markup.Escape(mistake.Label), Markup.Escape(mistake.Predicted),
                Text($"{mistake.Probability * 100:0.0} %"));
        }
        return table;
    }

    private static string Short(string name) => name.Length <= LongestName ? name : name[..(LongestName - 1)] + "…";

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private sealed class LabelRow
    {
        public string Label { get; set; } = "";
    }
}

/// <summary>A misclassified image.</summary>
/// <param name="Name">What the user knows the image by.</param>
/// <param name="Label">Its label.</param>
/// <param name="Predicted">The class that the model predicts.</param>
/// <param name="Probability">The probability of that class.</param>
internal sealed record Mistake(string Name, string Label, string Predicted, float Probability);
