using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding;
using Spectre.Console;

namespace Transfer;

/// <summary>Two classes from a few images each, with and without what eight others taught; and one model for all ten.</summary>
internal sealed class Study(PictureSet set, int imagesPerClass, string weightsFile, string onnxFile) : IDisposable
{
    private const int Short = 10;
    private const int Long = 40;
    private const int ExtensionEpochs = 10;
    private const string Before = "the model of eight classes";
    private const string OnlyNew = "Fit(few images of the two, model)";
    private const string Balanced = "Fit(few images of all ten, model)";

    private readonly Dictionary<string, List<double[]>> _figures = [];
    private readonly FloodedImageClassificationTransformer _eight = Pretrain(set, weightsFile);

    /// <summary>Everything once; the seed draws the few images, the first weights and the order of the images.</summary>
    public void Run(int seed)
    {
        var few = Few(set.Train.Where(set.IsNew), seed);
        foreach (var epochs in new[] { Short, Long })
        {
            Learn(Scratch(epochs), few, seed, o => o.Epochs = epochs);
            Learn(Frozen(epochs), few, seed, o => (o.Epochs, o.PretrainedWeights, o.FreezeBackboneEpochs, o.LearningRate) = (epochs, weightsFile, epochs, 0.1));
            Learn(Tuned(epochs), few, seed, o =>
                (o.Epochs, o.PretrainedWeights, o.FreezeBackboneEpochs, o.LayerDecay, o.LearningRate) = (epochs, weightsFile, epochs / 4, 0.8, 0.01));
        }
        AddTen(Before, _eight);
        using var onlyNew = Extend(OnlyNew, few, seed);
        using var balanced = Extend(Balanced, [.. few, .. Few(set.Train.Where(p => !set.IsNew(p)), seed)], seed);
        balanced.SaveAsOnnx(onnxFile);
    }

    /// <summary>How well the two classes are told apart.</summary>
    public Table ToTable()
    {
        var table = new Table().RoundedBorder().Title($"{set.Name}: {string.Join(" or ", set.NewClasses)}, from {imagesPerClass} images each")
            .AddColumns("mean ± deviation over the seeds", "test accuracy, %", "seconds");
        foreach (var epochs in new[] { Short, Long })
            foreach (var method in new[] { Scratch(epochs), Frozen(epochs), Tuned(epochs) })
                table.AddRow(method, Summary(method, 0, 100, "0.0"), Summary(method, 1, 1, "0.0"));
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

    public void Dispose() => _eight.Dispose();

    // Once: the few images are what differs from seed to seed.
    private static FloodedImageClassificationTransformer Pretrain(PictureSet set, string weightsFile)
    {
        var model = Trainer(set, seed: 1, o => (o.Epochs, o.BatchSize) = (30, 64)).Fit(set.View(set.Train.Where(p => !set.IsNew(p))));
        model.SaveAsSafetensors(weightsFile);
        return model;
    }

    private static string Scratch(int epochs) => $"from scratch, {epochs} epochs";

    private static string Frozen(int epochs) => $"pretrained, the head alone, {epochs} epochs";

    private static string Tuned(int epochs) => $"pretrained, {epochs / 4} + {epochs - (epochs / 4)} epochs";

    private void Learn(string method, IReadOnlyList<Picture> few, int seed, Action<FloodedImageClassificationTrainer.Options> configure)
    {
        var data = set.View(few);
        var watch = Stopwatch.StartNew();
        using var model = Trainer(set, seed, configure).Fit(data);
        var seconds = watch.Elapsed.TotalSeconds;
        Add(method, Accuracy(model, set.Test.Where(set.IsNew)), seconds);
    }

    private FloodedImageClassificationTransformer Extend(string method, IEnumerable<Picture> pictures, int seed)
    {
        var ten = Trainer(set, seed, o => o.Epochs = ExtensionEpochs).Fit(set.View(pictures), _eight);
        AddTen(method, ten);
        return ten;
    }

    private void AddTen(string method, FloodedImageClassificationTransformer model) =>
        Add(method, Accuracy(model, set.Test.Where(p => !set.IsNew(p))), Accuracy(model, set.Test.Where(set.IsNew)), Accuracy(model, set.Test));

    private static FloodedImageClassificationTrainer Trainer(PictureSet set, int seed, Action<FloodedImageClassificationTrainer.Options> configure)
    {
        var options = new FloodedImageClassificationTrainer.Options
        {
            Architecture = set.Network,
            BatchSize = 20,
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
