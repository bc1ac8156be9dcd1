using Common;
using Microsoft.ML;
using Microsoft.ML.Flooding;
using Spectre.Console;

namespace FashionMnist;

/// <summary>Trains the same network on the same images in four ways, each with several seeds.</summary>
internal sealed class Comparison(int epochs, int seeds)
{
    private readonly List<double> _imagesPerSecond = [];

    /// <summary>The median of the training speeds of the epochs.</summary>
    public double ImagesPerSecond => _imagesPerSecond.Order().ElementAt(_imagesPerSecond.Count / 2);

    /// <summary>Runs every method on every setting and shows a progress bar. Returns a table for each setting.</summary>
    public IReadOnlyList<Table> Run(IReadOnlyList<Setting> settings) => AnsiConsole.Progress()
        .Columns(
            new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(),
            new RemainingTimeColumn())
        .Start(progress =>
        {
            // All bars are visible from the start.
            var bars = settings.Select(setting => progress.AddTask(setting.Name, maxValue: 6 * seeds)).ToArray();
            return settings.Zip(bars, Run).ToArray();
        });

    private Table Run(Setting setting, ProgressTask bar)
    {
        var table = new SeedTable($"{setting.Name}, b = {setting.FloodLevel}", ("test accuracy, %", "0.0"), ("test log-loss", "0.000"));
        for (var seed = 1; seed <= seeds; seed++)
        {
            // The validation images choose the best epoch. With flipped labels, theirs are flipped too: they are training images.
            Train("plain, last epoch", o => (o.FloodLevel, o.EarlyStopping, o.WeightAveraging) = (0, null, WeightAveraging.None));
            Train("plain + EMA, best epoch", o => o.FloodLevel = 0);
            Train("flooded + EMA, last epoch", o => (o.FloodLevel, o.EarlyStopping) = (setting.FloodLevel, null));
            Train("self-distilled, best epoch", o => o.Objective = FloodingObjective.SelfDistilled(), runs: 3);

            void Train(string method, Action<FloodedImageClassificationTrainer.Options> change, int runs = 1)
            {
                table.Add(method, Test(setting, seed, change));
                bar.Increment(runs);
            }
        }
        return table.ToTable();
    }

    private double[] Test(Setting setting, int seed, Action<FloodedImageClassificationTrainer.Options> change)
    {
        var options = new FloodedImageClassificationTrainer.Options
        {
            Architecture = Architecture.Mlp,
            Epochs = epochs,
            Seed = seed,
            ValidationSet = setting.Images.Validation,
            WeightAveraging = WeightAveraging.Exponential,
            MetricsCallback = epoch => _imagesPerSecond.Add(epoch.ImagesPerSecond),
        };
        change(options);
        var context = new MLContext();
        using var model = context.Transforms.FloodedImageClassification(options).Fit(setting.Images.Train);
        var metrics = context.MulticlassClassification.Evaluate(model.Transform(setting.Images.Test));
        return [100 * metrics.MicroAccuracy, metrics.LogLoss];
    }
}
