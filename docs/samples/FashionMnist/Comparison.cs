using Common;
using Microsoft.ML;
using Microsoft.ML.Flooding;
using Spectre.Console;

namespace FashionMnist;

/// <summary>Trains the same network on the same images in six ways, each with several seeds.</summary>
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
            var bars = settings.Select(setting => progress.AddTask(setting.Name, maxValue: 3.0 * seeds * epochs)).ToArray();
            return settings.Zip(bars, Run).ToArray();
        });

    private Table Run(Setting setting, ProgressTask bar)
    {
        var table = new SeedTable($"{setting.Name}, b = {setting.FloodLevel}", ("test accuracy, %", "0.0"), ("test log-loss", "0.000"));
        for (var seed = 1; seed <= seeds; seed++)
            RunSeed(setting, seed, table, bar);
        return table.ToTable();
    }

    private void RunSeed(Setting setting, int seed, SeedTable table, ProgressTask bar)
    {
        var plain = Train(setting, setting.Images.Test, floodLevel: 0, seed, stopping: null, bar);

        // The same seed repeats the plain run step by step, so the validation images choose an epoch here, and the test figures of that
        // epoch come from the plain run. With flipped labels, the validation labels are flipped too: they are part of the training labels.
        var watched = Train(setting, setting.Images.Validation, floodLevel: 0, seed, new EarlyStopping(), bar);
        bar.Increment(epochs - watched.Count);

        var flooded = Train(setting, setting.Images.Test, setting.FloodLevel, seed, stopping: null, bar);

        table.Add("plain", Raw(plain[^1]));
        table.Add("plain, early stopping", Raw(plain[watched.MinBy(e => e.ValidationLoss)!.Epoch - 1]));
        table.Add("plain + EMA", Averaged(plain[^1]));
        table.Add("plain + EMA, early stopping", Averaged(plain[watched.MinBy(e => e.AveragedValidationLoss)!.Epoch - 1]));
        table.Add("flooded", Raw(flooded[^1]));
        table.Add("flooded + EMA", Averaged(flooded[^1]));
    }

    /// <summary>
    /// Trains once and returns the figures of the raw and the averaged weights on <paramref name="watched"/> after each epoch. If these are
    /// the test images, they choose nothing: the run continues to its last epoch, and its model, whose weights they select, is discarded.
    /// </summary>
    private IReadOnlyList<EpochMetrics> Train(
        Setting setting, IDataView watched, float floodLevel, int seed, EarlyStopping? stopping, ProgressTask bar)
    {
        var options = new FloodedImageClassificationTrainer.Options
        {
            FloodLevel = floodLevel,
            Architecture = Architecture.Mlp,
            Epochs = epochs,
            Seed = seed,
            ValidationSet = watched,
            EarlyStopping = stopping,
            WeightAveraging = WeightAveraging.Exponential,
            MetricsCallback = epoch =>
            {
                _imagesPerSecond.Add(epoch.ImagesPerSecond);
                bar.Increment(1);
            },
        };
        using var model = new MLContext().Transforms.FloodedImageClassification(options).Fit(setting.Images.Train);
        return model.History.Epochs;
    }

    private static double[] Raw(EpochMetrics epoch) => [100 * epoch.ValidationAccuracy!.Value, epoch.ValidationLoss!.Value];

    private static double[] Averaged(EpochMetrics epoch) =>
        [100 * epoch.AveragedValidationAccuracy!.Value, epoch.AveragedValidationLoss!.Value];
}
