using System.CommandLine;
using System.Globalization;
using Mlflood.Terminal;
using Spectre.Console;

namespace Mlflood.Verbs;

internal static class SearchVerb
{
    private const int LongestBar = 24;

    public static Command Create()
    {
        var output = new Option<FileInfo>("--output", "-o")
        {
            Description = "The .zip file for the best model. Default: it is not saved.",
            HelpName = "FILE",
        };
        var training = new Training();
        var command = new Command("search", "Trains at several flood levels and compares them on validation data.") { output };
        training.AddTo(command);
        command.SetAction(result => training.Run(
            result, result.GetValue(output), options => options.FloodLevels ??= FloodLevels.Adaptive, Write));
        return HelpWithExamples.WithExamples(
            command,
            "mlflood search photos",
            "mlflood search photos --flood-levels Range:0:0.1:0.02 -o best.zip",
            "mlflood search photos --flood-levels Create:0.05:0.1:0.3,Metric=Accuracy");
    }

    /// <summary>The trials as a table, with the losses as bars.</summary>
    private static void Write(FloodedImageClassificationTransformer model)
    {
        var table = new Table { Title = new TableTitle("Flood levels, by validation data"), Border = TableBorder.Rounded };
        table.AddColumn(new TableColumn("level").RightAligned()).AddColumn(new TableColumn("accuracy").RightAligned())
            .AddColumn(new TableColumn("log-loss").RightAligned()).AddColumn("").AddColumn("");
        var largest = model.Trials.Max(trial => trial.ValidationLoss ?? 0);
        foreach (var trial in model.Trials)
        {
            var note = trial.Failure is not null ? "diverged" : trial.FloodLevel == model.FloodLevel ? "[green]chosen[/]"
                : trial.Pruned ? "pruned" : "";
            var length = largest > 0 && trial.ValidationLoss is { } loss ? Math.Max(1, (int)(loss / largest * LongestBar)) : 0;
            table.AddRow(
                Text($"{trial.FloodLevel}"), Text($"{trial.ValidationAccuracy * 100:0.0} %"), Text($"{trial.ValidationLoss:0.000}"),
                new string('■', length), note);
        }
        Screen.Output.Write(table);
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
