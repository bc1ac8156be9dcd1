using System.Diagnostics;
using Common;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding;

namespace Transfer;

/// <summary>Learns two classes from a few images, with and without weights pretrained on eight others, and one model of all ten.</summary>
internal sealed class Study(PictureSet set, int imagesPerClass, string weightsFile, string onnxFile) : IDisposable
{
    private const int Short = 10;
    private const int Long = 40;
    private const int ExtensionEpochs = 10;

    private readonly FloodedImageClassificationTransformer _eight = Pretrain(set, weightsFile);

    /// <summary>How well a model tells the two classes apart.</summary>
    public SeedTable TwoClasses { get; } = new(
        $"{set.Name}: {string.Join(" or ", set.NewClasses)}, from {imagesPerClass} images each",
        ("test accuracy, %", "0.0"), ("seconds", "0.0"));

    /// <summary>What a model of eight classes knows before and after it is trained further.</summary>
    public SeedTable TenClasses { get; } = new(
        "one model for all ten: test accuracy, %", ("the eight", "0.0"), ("the two new", "0.0"), ("all ten", "0.0"));

    /// <summary>Runs every method once. The seed draws the few images, the initial weights and the order of the images.</summary>
    public void Run(int seed)
    {
        var few = Few(set.Train.Where(set.IsNew), seed);
        foreach (var epochs in new[] { Short, Long })
        {
            Learn($"from scratch, {epochs} epochs", few, seed, o => o.Epochs = epochs);
            Learn($"pretrained, the head alone, {epochs} epochs", few, seed, o =>
                (o.Epochs, o.PretrainedWeights, o.FreezeBackboneEpochs, o.LearningRate) = (epochs, weightsFile, epochs, 0.1));
            Learn($"pretrained, {epochs / 4} + {epochs - (epochs / 4)} epochs", few, seed, o =>
                (o.Epochs, o.PretrainedWeights, o.FreezeBackboneEpochs, o.LayerDecay, o.LearningRate) =
                    (epochs, weightsFile, epochs / 4, 0.8, 0.01));
        }
        AddTen("the model of eight classes", _eight);
        using var onlyNew = Extend("Fit(few images of the two, model)", few, seed);
        using var balanced = Extend(
            "Fit(few images of all ten, model)", [.. few, .. Few(set.Train.Where(p => !set.IsNew(p)), seed)], seed);
        balanced.SaveAsOnnx(onnxFile);
    }

    public void Dispose() => _eight.Dispose();

    // The seeds share one pretrained model. They differ in the few images.
    private static FloodedImageClassificationTransformer Pretrain(PictureSet set, string weightsFile)
    {
        var model = Trainer(set, seed: 1, o => (o.Epochs, o.BatchSize) = (30, 64)).Fit(set.View(set.Train.Where(p => !set.IsNew(p))));
        model.SaveAsSafetensors(weightsFile);
        return model;
    }

    private static FloodedImageClassificationTrainer Trainer(
        PictureSet set, int seed, Action<FloodedImageClassificationTrainer.Options> configure)
    {
        var options = new FloodedImageClassificationTrainer.Options
        {
            Architecture = set.Network,
            BatchSize = 20,
            Seed = seed,
            // There are too few images to hold any out, and no choice depends on them.
            ValidationSetFraction = null,
        };
        configure(options);
        return new MLContext().Transforms.FloodedImageClassification(options);
    }

    private void Learn(string method, IReadOnlyList<Picture> few, int seed, Action<FloodedImageClassificationTrainer.Options> configure)
    {
        var data = set.View(few);
        var watch = Stopwatch.StartNew();
        using var model = Trainer(set, seed, configure).Fit(data);
        var seconds = watch.Elapsed.TotalSeconds;
        TwoClasses.Add(method, Accuracy(model, set.Test.Where(set.IsNew)), seconds);
    }

    private FloodedImageClassificationTransformer Extend(string method, IEnumerable<Picture> pictures, int seed)
    {
        var ten = Trainer(set, seed, o => o.Epochs = ExtensionEpochs).Fit(set.View(pictures), _eight);
        AddTen(method, ten);
        return ten;
    }

    private void AddTen(string method, FloodedImageClassificationTransformer model) => TenClasses.Add(
        method,
        Accuracy(model, set.Test.Where(p => !set.IsNew(p))), Accuracy(model, set.Test.Where(set.IsNew)), Accuracy(model, set.Test));

    private Picture[] Few(IEnumerable<Picture> pictures, int seed)
    {
        var shuffled = pictures.ToArray();
        new Random(seed).Shuffle(shuffled);
        return [.. shuffled.GroupBy(p => p.Class).SelectMany(group => group.Take(imagesPerClass))];
    }

    /// <summary>The percentage of the pictures whose class the model predicts.</summary>
    private double Accuracy(FloodedImageClassificationTransformer model, IEnumerable<Picture> pictures)
    {
        var rows = pictures.ToArray();
        return model.Transform(set.View(rows)).GetColumn<uint>("PredictedLabel")
            .Zip(rows, (key, row) => model.Labels[(int)key - 1] == row.Class ? 100.0 : 0).Average();
    }
}
