using System.Globalization;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Objectives;
using Microsoft.ML.Flooding.Runtime;
using Microsoft.ML.Flooding.Scoring;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>The table of docs/transfer.md: the cost of each architecture at its usual size. It runs only on request.</summary>
internal static class ArchitectureTable
{
    private const int Batch = 4;
    private const int SmallBatch = 128;
    private const int Rounds = 3;

    private static readonly ImageShape Digit = new(28, 28, 1);
    private static readonly ImageShape Photo = new(224, 224, 3);

    /// <summary>Writes the table as Markdown, each row as soon as it is measured.</summary>
    public static void Print(TextWriter output)
    {
        output.WriteLine("| Architecture | Images | Parameters | Multiply-adds, millions | Training, images/s | Scoring, images/s |");
        output.WriteLine("|---|---|---:|---:|---:|---:|");
        foreach (var architecture in Architecture.All.Where(a => !a.Equals(Architecture.Auto)))
        {
            var isSmall = architecture.Preprocessing is null;
            output.WriteLine(isSmall
                ? Measure(architecture, Digit, classes: 10, SmallBatch)
                : Measure(architecture, Photo, classes: 1000, Batch));
        }
    }

    private static string Measure(Architecture architecture, ImageShape shape, int classes, int batch)
    {
        // The conditions within a Fit, after its first steps.
        using var heap = HeapRetention.ForTraining();
        using var images = DrawImages(shape, classes, batch);
        using var rows = arange(batch);
        using var network = CreateNetwork(architecture, shape, classes);
        var complexity = Complexity.Of(network, shape);
        using var run = new TrainingRun(
            network, Flood.At(0.03f), new TrainingOptions { BatchSize = batch, Epochs = 1_000_000 },
            new TrainingData(images, rows, null, null), NormalizationOf(shape), CPU, ScalarType.Float32, 1, () => { });
        using var classifier = CreateClassifier(architecture, shape, classes);
        using var pixels = new RandomPixels(shape, batch);
        var scores = new float[batch * classes];
        var times = Alternation.Time(Rounds, () => run.TrainEpoch(), () => classifier.Score(pixels.Batch(batch), scores));
        return string.Create(CultureInfo.InvariantCulture,
            $"| `{architecture}` | {shape.Width} x {shape.Height} x {shape.Channels} | {complexity.Parameters:N0} "
            + $"| {complexity.MultiplyAdds / 1e6:N1} | {batch / times[0].Median():N1} | {batch / times[1].Median():N1} |");
    }

    private static ImageClassifier CreateClassifier(Architecture architecture, ImageShape shape, int classes)
    {
        var description = new ModelDescription
        {
            Architecture = architecture.Name,
            Shape = shape,
            Normalization = NormalizationOf(shape),
            Labels = new LabelKeys(nameof(UInt32), classes, null, null),
            FeatureColumn = "Features",
            ScoreColumn = "Score",
            PredictedLabelColumn = "PredictedLabel",
            FloodLevel = 0,
            History = new TrainingHistory([], 0, false),
        };
        var network = new TrainedNetwork(CreateNetwork(architecture, shape, classes), description);
        return new ImageClassifier(network, description, gpu: null, typeof(ArchitectureTable));
    }

    public static Network CreateNetwork(Architecture architecture, ImageShape shape, int classes)
    {
        using var generator = new Generator(1);
        return architecture.Create(shape, classes, generator);
    }

    public static MemoryImageSet DrawImages(ImageShape shape, int classes, int count)
    {
        using var generator = new Generator(1);
        return new MemoryImageSet(
            shape,
            randint(0, 256, [count, shape.Height, shape.Width, shape.Channels], dtype: ScalarType.Byte, generator: generator),
            randint(0, classes, [count], dtype: ScalarType.Int64, generator: generator),
            arange(count),
            zeros(count, ScalarType.Int64));
    }

    public static Normalization NormalizationOf(ImageShape shape) =>
        new([.. Enumerable.Repeat(120f, shape.Channels)], [.. Enumerable.Repeat(60f, shape.Channels)]);
}
