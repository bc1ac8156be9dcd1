using System.Globalization;
using System.Text;
using Microsoft.ML;
using Microsoft.ML.Flooding;

namespace Noise;

/// <summary>How many of the changed labels <c>FindLabelIssues</c> finds.</summary>
internal static class WrongLabels
{
    /// <summary>The table of a set: means over the seeds.</summary>
    public static string Table(NoisySet set, IReadOnlyList<LabelNoise> noises, int seeds, Action<string> progress)
    {
        var table = new StringBuilder();
        table.Append(CultureInfo.InvariantCulture, $"### Wrong labels that are found: {set.Name}, {seeds} seeds\n\n");
        table.Append(
            "| labels | wrong labels among as many first images | precision of the suspected ones | recall |\n|---|---|---|---|\n");
        foreach (var noise in noises.Where(noise => noise.Share > 0))
        {
            double[][] shares = [.. Enumerable.Range(Comparison.FirstSeed, seeds).Select(seed => Search(set.Draw(seed, noise)))];
            progress($"{set.Name}, {noise.Name}: wrong labels");
            table.Append(CultureInfo.InvariantCulture,
                $"| {noise.Name} | {100 * shares.Average(s => s[0]):0} % | {100 * shares.Average(s => s[1]):0} % | ");
            table.Append(CultureInfo.InvariantCulture, $"{100 * shares.Average(s => s[2]):0} % |\n");
        }
        return table.Append('\n').ToString();
    }

    private static double[] Search(Draw draw)
    {
        var options = new FloodedImageClassificationTrainer.Options
        {
            Architecture = draw.Set.Architecture,
            Epochs = draw.Set.Epochs,
            Seed = draw.Seed,
        };
        if (draw.Set.Shape[0] == 1)
            (options.ImageWidth, options.ImageHeight) = (draw.Set.Shape[1], 1);
        var found = new MLContext().MulticlassClassification.FindLabelIssues(draw.View(draw.Train), options);
        bool IsWrong(LabelIssue image) => draw.Train[(int)image.Row].Label != draw.Truth[(int)image.Row].Label;
        var wrong = found.Ranking.Count(IsWrong);
        var suspected = found.Issues.Count(IsWrong);
        return
        [
            (double)found.Ranking.Take(wrong).Count(IsWrong) / wrong, (double)suspected / Math.Max(1, found.Issues.Count),
            (double)suspected / wrong,
        ];
    }
}
