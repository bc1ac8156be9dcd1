using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding;
using Spectre.Console;

namespace FashionMnist;

/// <summary>Finds the flipped labels of the training images.</summary>
internal static class WrongLabels
{
    private const int Shown = 10;

    /// <summary>Prints the first suspected images and how many of them are wrong indeed, and saves a report with pictures.</summary>
    /// <param name="flipped">The training images, some with flipped labels.</param>
    /// <param name="clean">The same images with their true labels.</param>
    /// <param name="epochs">The epochs of a network.</param>
    /// <param name="report">The HTML file.</param>
    public static void Find(IDataView flipped, IDataView clean, int epochs, string report)
    {
        var context = new MLContext(seed: 1);
        var issues = context.MulticlassClassification.FindLabelIssues(
            flipped, new FloodedImageClassificationTrainer.Options { Architecture = Architecture.Mlp, Epochs = epochs });
        issues.SaveReport(report, "Labels of Fashion-MNIST that are probably wrong");

        var truth = clean.GetColumn<uint>("Label").ToArray();
        var given = flipped.GetColumn<uint>("Label").ToArray();
        var names = Names(clean);
        bool IsWrong(LabelIssue image) => given[image.Row] != truth[image.Row];
        var wrong = issues.Ranking.Count(IsWrong);
        var table = new Table().RoundedBorder().Title("labels that are probably wrong").AddColumns("row", "label", "suggested", "true", "");
        foreach (var issue in issues.Issues.Take(Shown))
        {
            var name = names[truth[issue.Row] - 1];
            table.AddRow(
                $"{issue.Row}", issue.Label, issue.SuggestedLabel, name,
                IsWrong(issue) ? issue.SuggestedLabel == name ? "found" : "found, other class" : "the label is correct");
        }
        AnsiConsole.Write(table);
        AnsiConsole.WriteLine(
            $"{wrong} labels were flipped. {issues.Ranking.Take(wrong).Count(IsWrong)} of the first {wrong} images in the ranking and "
            + $"{issues.Issues.Count(IsWrong)} of the {issues.Issues.Count} suspected ones are among them.");
        AnsiConsole.MarkupLineInterpolated($"[bold]All suspected images:[/] {report}");
    }

    private static string[] Names(IDataView data)
    {
        var names = default(VBuffer<ReadOnlyMemory<char>>);
        data.Schema["Label"].GetKeyValues(ref names);
        return [.. names.DenseValues().Select(name => name.ToString())];
    }
}
