using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Tests.Pipeline;

namespace Microsoft.ML.Flooding.Tests.Transfer;

/// <summary>The purpose of transfer: learning two new classes from 50 images each, after eight others.</summary>
[TestClass]
public sealed class FewImagesTests
{
    private const int ImagesPerClass = 50;
    private const int Seeds = 5;

    /// <summary>Two similar classes. If there is nothing left to learn, transfer has no effect.</summary>
    private static readonly string[] New = ["Pullover", "Coat"];

    private readonly MLContext _context = new(seed: 1);

    [TestMethod]
    public void Weights_of_eight_classes_beat_random_ones_on_the_other_two()
    {
        using var file = new TemporaryFile(".safetensors");
        var rows = FashionMnistData.Rows("train", 2000);
        using (var eight = Fit(rows.Where(r => !New.Contains(r.Class)), seed: 1, o => (o.Epochs, o.BatchSize) = (10, 64)))
            eight.SaveAsSafetensors(file.Path);
        var unseen = FashionMnistData.Rows("t10k", 1000).Where(r => New.Contains(r.Class)).ToArray();
        var (scratch, transferred) = (new List<double>(), new List<double>());
        for (var seed = 1; seed <= Seeds; seed++)
        {
            var candidates = rows.Where(r => New.Contains(r.Class)).ToArray();
            new Random(seed).Shuffle(candidates);
            FashionMnistData.Row[] few = [.. candidates.GroupBy(r => r.Class).SelectMany(g => g.Take(ImagesPerClass))];
            using var random = Fit(few, seed, _ => { });
            using var pretrained = Fit(
                few, seed, o => (o.PretrainedWeights, o.FreezeBackboneEpochs, o.LayerDecay, o.LearningRate) = (file.Path, 3, 0.8, 0.01));
            scratch.Add(Accuracy(random, unseen));
            transferred.Add(Accuracy(pretrained, unseen));
        }
        Assert.IsGreaterThan(
            scratch.Average() + 0.01, transferred.Average(), $"{string.Join(' ', scratch)} / {string.Join(' ', transferred)}");
    }

    private FloodedImageClassificationTransformer Fit(
        IEnumerable<FashionMnistData.Row> rows, int seed, Action<FloodedImageClassificationTrainer.Options> change)
    {
        var view = _context.Data.LoadFromEnumerable(rows);
        var data = _context.Transforms.Conversion.MapValueToKey("Label", nameof(FashionMnistData.Row.Class)).Fit(view).Transform(view);
        return ShortRun.Fit(_context, data, o =>
        {
            o.Architecture = Architecture.ConvNet.WithBaseWidth(8);
            (o.Epochs, o.BatchSize, o.Seed, o.ValidationSetFraction) = (10, 20, seed, null);
            change(o);
        });
    }

    private double Accuracy(FloodedImageClassificationTransformer model, IReadOnlyList<FashionMnistData.Row> rows) =>
        model.Transform(_context.Data.LoadFromEnumerable(rows)).GetColumn<uint>("PredictedLabel")
            .Zip(rows, (key, row) => model.Labels[(int)key - 1] == row.Class ? 1.0 : 0).Average();
}
