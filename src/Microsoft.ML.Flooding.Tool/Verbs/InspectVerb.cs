using System.CommandLine;
using System.Globalization;
using Mlflood.Data;
using Mlflood.Scaffolding;
using Mlflood.Terminal;
using Spectre.Console;

namespace Mlflood.Verbs;

internal static class InspectVerb
{
    public static Command Create()
    {
        var model = ModelFile.Argument();
        var command = new Command("inspect", "Shows what is in a model: network, classes, training, options.") { model };
        command.SetAction(result => Run(result.GetRequiredValue(model)));
        return HelpWithExamples.WithExamples(command, "mlflood inspect pets.zip");
    }

    private static int Run(FileInfo model)
    {
        using var file = ModelFile.Load(new MLContext(), model);
        var classifier = file.Classifier;
        var history = classifier.History;
        var table = new Table { Border = TableBorder.Rounded, ShowHeaders = false };
        table.AddColumn(new TableColumn("").NoWrap()).AddColumn("");
        Add("file", Text($"{model.FullName} ({model.Length / 1e6:0.0} MB)"));
        var values = classifier.Model.Shapes.Sum(shape => shape.Value.Aggregate(1L, (product, size) => product * size));
        Add("network", Text($"{classifier.Architecture.Name}, {values:N0} values"));
        var color = classifier.Channels == 1 ? "gray" : "color";
        Add("images", Text($"{classifier.ImageWidth} x {classifier.ImageHeight}, {color}, column {classifier.FeatureColumnName}"));
        Add("classes", Text($"{classifier.Labels.Count}: {string.Join(", ", classifier.Labels)}"));
        Add("output columns", $"{file.Columns.Score}, {file.Columns.PredictedLabel}");
        Add("flood level", Text($"{classifier.FloodLevel}"));
        Add("temperature", Text($"{classifier.Temperature:0.###}"));
        Add("scoring", Text($"{classifier.ScoringPrecision}; an unreadable image: {classifier.OnInvalidImage}"));
        if (classifier.PretrainedWeights is { } weights)
            Add("pretrained weights", weights.ToString());
        Add("training", history.ToString() + (history.Stopped ? " It was stopped." : ""));
        Add("options that were set", string.Join('\n', TrainingCode.For(classifier).Select(line => line.TrimEnd(','))));
        Add("trained on", $"{Setting("number of training images")} images, validated on {Setting("number of validation images")}, device "
            + Setting("device"));
        Add("advice", history.Epochs.Count > 0 ? history.Stages.Advice : "");
        Screen.Output.Write(table);
        return ExitCode.Done;

        string Setting(string name) => history.Settings.GetValueOrDefault(name, "?");

        void Add(string name, string value) => table.AddRow(Markup.Escape(name), Markup.Escape(value));
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
