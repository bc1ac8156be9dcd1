using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Scoring;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Scoring;

/// <summary>A model with random weights. It scores like a trained one and needs no training.</summary>
internal static class RandomModel
{
    public const int Classes = 5;

    public static Network CreateNetwork(Architecture architecture, ImageShape shape, int classes = Classes, int seed = 1)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var generator = new Generator((ulong)seed);
        var network = architecture.Create(shape, classes, generator);
        BatchNorm[] norms = [.. network.modules().OfType<BatchNorm>()];
        foreach (var norm in norms)
        {
            norm.weight!.uniform_(0.5, 1.5, generator);
            norm.bias!.normal_(0, 0.3, generator);
        }

        // Statistics that fit the weights: means over the passes. Without them, the scores of a deep network are all alike.
        network.DropoutGenerator = generator;
        for (var pass = 1; norms.Length > 0 && pass <= 10; pass++)
        {
            foreach (var norm in norms)
                norm.momentum = 1.0 / pass;
            network.forward(Images(8, shape, generator));
        }
        network.DropoutGenerator = null;
        return network;
    }

    /// <summary>Noise of different colors. Global pooling makes noise of one color all alike.</summary>
    public static Tensor Images(int count, ImageShape shape, Generator generator) =>
        randn([count, shape.Height, shape.Width, shape.Channels], generator: generator)
            .add(randn([count, 1, 1, shape.Channels], generator: generator)).permute(0, 3, 1, 2);

    public static ModelDescription Describe(Architecture architecture, ImageShape shape, int classes = Classes) => new()
    {
        Architecture = architecture.Resolve(shape).Name,
        Shape = shape,
        Normalization = new Normalization([.. Enumerable.Repeat(120f, shape.Channels)], [.. Enumerable.Repeat(60f, shape.Channels)]),
        Labels = new LabelKeys(nameof(UInt32), classes, "Text", [.. Enumerable.Range(0, classes).Select(i => $"class {i}")]),
        FeatureColumn = "Features",
        ScoreColumn = "Score",
        PredictedLabelColumn = "PredictedLabel",
        FloodLevel = 0.03f,
        History = new TrainingHistory([], 0, false),
    };

    public static ImageClassifier Classify(Network network, ModelDescription description) =>
        new(new TrainedNetwork(network, description), description, gpu: null, typeof(FloodedImageClassificationTransformer));

    /// <summary>Scores a contiguous tensor of uint8 or float32 pixels, [N, H, W, C].</summary>
    public static unsafe void Score(this ImageClassifier classifier, Tensor pixels, Span<float> scores)
    {
        fixed (byte* start = pixels.bytes)
        {
            var areFloats = pixels.dtype == ScalarType.Float32;
            classifier.Score(new PixelBatch((nint)start, (int)pixels.shape[0], classifier.Description.Shape, areFloats), scores);
        }
    }

    public static FloodedImageClassificationTransformer Create(
        MLContext context, Architecture architecture, ImageShape shape,
        Func<ModelDescription, ModelDescription>? change = null, int classes = Classes)
    {
        var description = Describe(architecture, shape, classes);
        return new(context, CreateNetwork(architecture, shape, classes), change is null ? description : change(description));
    }
}
