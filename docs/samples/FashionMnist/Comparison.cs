using Microsoft.ML;
using Microsoft.ML.Flooding;
using Spectre.Console;

namespace FashionMnist;

/// <summary>Six ways to train the same network on the same images, each with several seeds.</summary>
internal sealed class Comparison(int epochs, int seeds)
{
    private const string Plain = "plain";
    private const string Stopped = "plain, early stopping";
    private const string PlainAveraged = "plain + EMA";
    private const string StoppedAveraged = "plain + EMA, early stopping";
    private const string Flooded = "flooded";
    private const string FloodedAveraged = "flooded + EMA";

    private static readonly string[] Methods = [Plain, Stopped, PlainAveraged, StoppedAveraged, Flooded, FloodedAveraged];

    private readonly Dictionary<(string Method, Setting Setting), List<Score>> _scores = [];
    private readonly List<double> _imagesPerSecond = [];

    /// <summary>The middle of the epochs' training speeds.</summary>
    public double ImagesPerSecond => _imagesPerSecond.Order().ElementAt(_imagesPerSecond.Count / 2);

    /// <summary>Trains everything, with a bar of its progress.</summary>
    public void Run(IReadOnlyList<Setting> settings)
    {
        AnsiConsole.Progress()
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .Start(progress =>
            {
                var bars = settings.ToDictionary(s => s, s => progress.AddTask(s.Name, maxValue: 3.0 * seeds * epochs));
                foreach (var setting in settings)
                    for (var seed = 1; seed <= seeds; seed++)
                        RunSeed(setting, seed, bars[setting]);
            });
    }

    /// <summary>Mean and spread (the standard deviation over the seeds) of each method.</summary>
    public Table ToTable(Setting setting)
    {
        var table = new Table().RoundedBorder().Title($"{setting.Name}, b = {setting.FloodLevel}")
            .AddColumns("mean ± deviation over the seeds", "test accuracy, %", "test log-loss");
        foreach (var method in Methods)
        {
            var scores = _scores[(method, setting)];
            table.AddRow(method, Summary(scores.Select(s => 100 * s.Accuracy), "0.0"), Summary(scores.Select(s => s.LogLoss), "0.000"));
        }
        return table;
    }

    private void RunSeed(Setting setting, int seed, ProgressTask bar)
    {
        var plain = Train(setting, setting.Images.Test, floodLevel: 0, seed, stopping: null, bar);
        Add(Plain, setting, Score.Raw(plain[^1]));
        Add(PlainAveraged, setting, Score.Averaged(plain[^1]));

        // The same run step for step, as it has the same seed. Its validation images say where to stop, and the run above what that gave on
        // the test images; in the flipped setting their labels are flipped as well, as they are training labels set aside.
        var watched = Train(setting, setting.Images.Validation, floodLevel: 0, seed, new EarlyStopping(), bar);
        Add(Stopped, setting, Score.Raw(plain[watched.MinBy(e => e.ValidationLoss)!.Epoch - 1]));
        Add(StoppedAveraged, setting, Score.Averaged(plain[watched.MinBy(e => e.AveragedValidationLoss)!.Epoch - 1]));
        bar.Increment(epochs - watched.Count);

        var flooded = Train(setting, setting.Images.Test, setting.FloodLevel, seed, stopping: null, bar);
        Add(Flooded, setting, Score.Raw(flooded[^1]));
        Add(FloodedAveraged, setting, Score.Averaged(flooded[^1]));
    }

    /// <summary>
    /// One run gives the figures of its raw and of its averaged weights on the watched images, epoch by epoch. Where the test images are
    /// watched, they choose nothing: the run goes on to its last epoch, and its model, whose weights they would select, is thrown away.
    /// </summary>
    private IReadOnlyList<EpochMetrics> Train(
        Setting setting, IDataView watched, float floodLevel, int seed, EarlyStopping? stopping, ProgressTask bar)
    {
        var options = Options(floodLevel, seed, bar);
        options.ValidationSet = watched;
        options.EarlyStopping = stopping;
        options.WeightAveraging = WeightAveraging.Exponential;
        using var model = new MLContext().Transforms.FloodedImageClassification(options).Fit(setting.Images.Train);
        return model.History.Epochs;
    }

    private FloodedImageClassificationTrainer.Options Options(float floodLevel, int seed, ProgressTask bar) => new()
    {
        FloodLevel = floodLevel,
        Architecture = Architecture.Mlp,
        Epochs = epochs,
        Seed = seed,
        MetricsCallback = epoch =>
        {
            _imagesPerSecond.Add(epoch.ImagesPerSecond);
            bar.Increment(1);
        },
    };

    private void Add(string method, Setting setting, Score score)
    {
        if (!_scores.TryGetValue((method, setting), out var scores))
            _scores[(method, setting)] = scores = [];
        scores.Add(score);
    }

    private static string Summary(IEnumerable<double> values, string format)
    {
        var all = values.ToArray();
        var mean = all.Average();
        var spread = all.Length < 2 ? double.NaN : Math.Sqrt(all.Sum(v => (v - mean) * (v - mean)) / (all.Length - 1));
        return double.IsNaN(spread) ? mean.ToString(format) : $"{mean.ToString(format)} ± {spread.ToString(format)}";
    }
}
