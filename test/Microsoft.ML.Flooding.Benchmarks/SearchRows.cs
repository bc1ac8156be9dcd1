using System.Globalization;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>A row that compares a search for the flood level with the runs that it replaces.</summary>
internal static class SearchRows
{
    private static readonly float[] Levels = [.. Enumerable.Range(0, 11).Select(i => i / 100f)];

    public static IEnumerable<Row> All =>
    [
        new Row("search", "Search over b = 0, 0.01 ... 0.10 on the sample / eleven separate runs (MLP)", 0.8, false, Search),
    ];

    private static Figure Search()
    {
        var context = new MLContext();
        var data = Sample.Load(context, "train");
        IReadOnlyList<FloodTrial> trials = [];
        TrainingHistory[] separate = [];

        // Each takes about a minute, so one short run warms up for both.
        Fit(o => o.Epochs = 1);
        var times = Alternation.TimeOnce(
            () => trials = Fit(o => o.FloodLevels = FloodLevels.Create(Levels)).Trials,
            () => separate = [.. Levels.Select(level => Fit(o => o.FloodLevel = level))]);
        foreach (var (trial, run) in trials.Zip(separate))
            if (!trial.History.Epochs.Select(Comparable).SequenceEqual(run.Epochs.Select(Comparable)))
                throw new InvalidOperationException($"The trial at {trial.FloodLevel} differs from its separate run.");
        var shared = trials.Sum(t => t.SharedEpochs);
        var all = trials.Sum(t => t.History.Epochs.Count);
        return new Figure(times[0] / times[1], Seconds(times[0], $", {all - shared} epochs"), Seconds(times[1], $", {all} epochs"));

        TrainingHistory Fit(Action<FloodedImageClassificationTrainer.Options> change)
        {
            var options = new FloodedImageClassificationTrainer.Options
            {
                Architecture = Architecture.Mlp,
                Epochs = 20,
                WeightAveraging = WeightAveraging.Exponential,
                Seed = 1,
            };
            change(options);
            using var model = context.Transforms.FloodedImageClassification(options).Fit(data);
            return model.History;
        }
    }

    /// <summary>Returns the epoch without its speed, which differs from run to run.</summary>
    private static EpochMetrics Comparable(EpochMetrics epoch) => epoch with { ImagesPerSecond = 0 };

    private static string Seconds(double seconds, string remark) => string.Create(CultureInfo.InvariantCulture, $"{seconds:0.0} s{remark}");
}
