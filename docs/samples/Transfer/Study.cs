using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding;
using Spectre.Console;

namespace Transfer;

/// <summary>Two classes from a few images each, with and without what eight others taught; and one model for all ten.</summary>
internal sealed class Study(PictureSet set, int imagesPerClass, string weightsFile)
{
    private const string Scratch = "from scratch";
    private const string Frozen = "pretrained, backbone frozen";
    private const string Tuned = "pretrained, frozen for 10 epochs, then layer-wise rates";
    private const string Before = "the model of eight classes";
    private const string OnlyNew = "Fit(images of the new classes alone, model)";
    private const string Balanced = "Fit(as many images of each of the ten, model)";

    private readonly Dictionary<string, List<double[]>> _figures = [];

    /// <summary>Everything once; the seed draws the few images, the first weights and the order of the images.</summary>
    public void Run(int seed, Action<string> report)
    {
        report("eight classes");
        var old = set.Train.Where(p => !set.IsNew(p)).ToArray();
        using var eight = Trainer(seed, o => o.Epochs = 30).Fit(set.View(old));
        eight.SaveAsSafetensors(weightsFile);

        var few = Few(set.Train.Where(set.IsNew), seed);
        report(Scratch);
        Learn(Scratch, few, seed, _ => { });
        report(Frozen);
        Learn(Frozen, few, seed, o => (o.PretrainedWeights, o.FreezeBackboneEpochs) = (weightsFile, o.Epochs));
        report(Tuned);
        Learn(Tuned, few, seed, o => (o.PretrainedWeights, o.FreezeBackboneEpochs, o.LayerDecay) = (weightsFile, 10, 0.7));

        report("ten classes");
        AddTen(Before, eight);
        Extend(OnlyNew, eight, few, seed);
        Extend(Balanced, eight, [.. few, .. Few(old, seed)], seed);
    }

    /// <summary>How well the two classes are told apart.</summary>
    public Table ToTable()
    {
        var table = new Table().RoundedBorder().Title($"{set.Name}: two new classes, {imagesPerClass} images each")
            .AddColumns("mean ± deviation over the seeds", "test accuracy, %", "seconds to train");
        foreach (var method in new[] { Scratch, Frozen, Tuned })
            table.AddRow(method, Summary(method, 0, 100, "0.0"), Summary(method, 1, 1, "0.00"));
        return table;
    }

    /// <summary>What a model of eight classes knows before and after it is trained further.</summary>
    public Table ToTableOfTen()
    {
        var table = new Table().RoundedBorder().Title("one model for all ten: test accuracy, %")
            .AddColumns("mean ± deviation over the seeds", "the eight", "the two new", "all ten");
        foreach (var method in new[] { Before, OnlyNew, Balanced })
            table.AddRow([method, .. Enumerable.Range(0, 3).Select(i => Summary(method, i, 100, "0.0"))]);
        return table;
    }

    private void Learn(string method, IReadOnlyList<Picture> few, int seed, Action<FloodedImageClassificationTrainer.Options> configure)
    {
        var data = set.View(few);
        var watch = Stopwatch.StartNew();
        using var model = Trainer(seed, configure).Fit(data);
        var seconds = watch.Elapsed.TotalSeconds;
        Add(method, Accuracy(model, set.Test.Where(set.IsNew)), seconds);
    }

    private void Extend(string method, FloodedImageClassificationTransformer eight, IEnumerable<Picture> pictures, int seed)
    {
        using var ten = Trainer(seed, o => o.Epochs = 20).Fit(set.View(pictures), eight);
        AddTen(method, ten);
    }

    private void AddTen(string method, FloodedImageClassificationTransformer model) =>
        Add(method, Accuracy(model, set.Test.Where(p => !set.IsNew(p))), Accuracy(model, set.Test.Where(set.IsNew)), Accuracy(model, set.Test));

    private FloodedImageClassificationTrainer Trainer(int seed, Action<FloodedImageClassificationTrainer.Options> configure)
    {
        var options = new FloodedImageClassificationTrainer.Options
        {
            Architecture = set.Network,
            Epochs = 60,
            BatchSize = 32,
            Seed = seed,
            // There are too few images to set any aside, and nothing is chosen by them.
            ValidationSetFraction = null,
        };
        configure(options);
        return new MLContext().Transforms.FloodedImageClassification(options);
    }

    private Picture[] Few(IEnumerable<Picture> pictures, int seed)
    {
        var shuffled = pictures.ToArray();
        new Random(seed).Shuffle(shuffled);
        return [.. shuffled.GroupBy(p => p.Class).SelectMany(group => group.Take(imagesPerClass))];
    }

    /// <summary>The share of the pictures whose class the model names.</summary>
    private double Accuracy(FloodedImageClassificationTransformer model, IEnumerable<Picture> pictures)
    {
        var rows = pictures.ToArray();
        return model.Transform(set.View(rows)).GetColumn<uint>("PredictedLabel").Zip(rows, (key, row) => model.Labels[(int)key - 1] == row.Class ? 1.0 : 0).Average();
    }

    private void Add(string method, params double[] figures)
    {
        if (!_figures.TryGetValue(method, out var all))
            _figures[method] = all = [];
        all.Add(figures);
    }

    private string Summary(string method, int figure, double factor, string format)
    {
        var all = _figures[method].Select(f => factor * f[figure]).ToArray();
        var mean = all.Average();
        return all.Length < 2
            ? mean.ToString(format)
            : $"{mean.ToString(format)} ± {Math.Sqrt(all.Sum(v => (v - mean) * (v - mean)) / (all.Length - 1)).ToString(format)}";
    }
}
