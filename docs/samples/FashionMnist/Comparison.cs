using Microsoft.ML;
using Microsoft.ML.Flooding;
using Spectre.Console;

namespace FashionMnist;

/// <summary>Five ways to train the same network on the same images, each with several seeds.</summary>
internal sealed class Comparison(int epochs, int seeds)
{
    private const string Plain = "plain";
    private const string Stopped = "plain, early stopping";
    private const string PlainAveraged = "plain + EMA";
    private const string Flooded = "flooded";
    private const string FloodedAveraged = "flooded + EMA";

    private static readonly string[] Methods = [Plain, Stopped, PlainAveraged, Flooded, FloodedAveraged];

    private readonly Dictionary<(string Method, Setting Setting), List<Score>> _scores = [];
    private readonly List<double> _imagesPerSecond = [];
    private IReadOnlyList<Setting> _settings = [];

    /// <summary>The middle of the epochs' training speeds.</summary>
    public double ImagesPerSecond => _imagesPerSecond.Order().ElementAt(_imagesPerSecond.Count / 2);

    /// <summary>Trains everything, with a bar of its progress.</summary>
    public void Run(IReadOnlyList<Setting> settings)
    {
        _settings = settings;
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
    public Table ToTable()
    {
        var table = new Table().RoundedBorder().Title("On the test set: mean ± standard deviation over the seeds").AddColumn("");
        foreach (var setting in _settings)
            table.AddColumns($"{setting.Name}\naccuracy, %", $"b = {setting.FloodLevel}\nlog-loss");
        foreach (var method in Methods)
            table.AddRow([
                method,
                .. _settings.SelectMany(setting => (string[])[
                    Summary(_scores[(method, setting)].Select(s => 100 * s.Accuracy), "0.0"),
                    Summary(_scores[(method, setting)].Select(s => s.LogLoss), "0.000"),
                ]),
            ]);
        return table;
    }

    private void RunSeed(Setting setting, int seed, ProgressTask bar)
    {
        var plain = LastEpoch(setting, floodLevel: 0, seed, bar);
        Add(Plain, setting, Score.Raw(plain));
        Add(PlainAveraged, setting, Score.Averaged(plain));
        var flooded = LastEpoch(setting, setting.FloodLevel, seed, bar);
        Add(Flooded, setting, Score.Raw(flooded));
        Add(FloodedAveraged, setting, Score.Averaged(flooded));
        Add(Stopped, setting, EarlyStopped(setting, seed, bar));
    }

    /// <summary>
    /// One run gives the figures of its raw and of its averaged weights. The test set is the run's validation set, for the history to report
    /// on it: nothing stops by it, the last epoch is the one reported whatever came before, and the model, whose weights it would select, is
    /// thrown away.
    /// </summary>
    private EpochMetrics LastEpoch(Setting setting, float floodLevel, int seed, ProgressTask bar)
    {
        var options = Options(floodLevel, seed, bar);
        options.ValidationSet = setting.Images.Test;
        options.WeightAveraging = WeightAveraging.Exponential;
        using var model = new MLContext().Transforms.FloodedImageClassification(options).Fit(setting.Images.Train);
        return model.History.Epochs[^1];
    }

    /// <summary>
    /// The same plain run, step for step, until 20 epochs have brought no lower loss on the held-out images, whose labels are flipped where
    /// the training labels are. The weights of the best epoch then see the test set, once.
    /// </summary>
    private Score EarlyStopped(Setting setting, int seed, ProgressTask bar)
    {
        var options = Options(floodLevel: 0, seed, bar);
        options.ValidationSet = setting.Images.Validation;
        options.EarlyStopping = new EarlyStopping();
        var context = new MLContext();
        using var model = context.Transforms.FloodedImageClassification(options).Fit(setting.Images.Train);
        bar.Increment(epochs - model.History.Epochs.Count);
        return Score.Of(context.MulticlassClassification.Evaluate(model.Transform(setting.Images.Test)));
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
