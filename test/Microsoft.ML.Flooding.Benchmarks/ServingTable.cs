using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Scoring;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>
/// `bench serving`: scoring beside what a user would use instead. ONNX Runtime alone scores the network that SaveAsOnnx writes, on ready
/// tensors; ML.NET's ApplyOnnxModel scores it from vectors of floats.
/// </summary>
internal static class ServingTable
{
    private const int Rounds = 5;
    private const double BlockMilliseconds = 200;
    private const int FewestCalls = 5;

    private static readonly (Architecture Architecture, ImageShape Shape, int Classes, int Batch)[] Networks =
    [
        (Architecture.ConvNet, new(28, 28, 1), 10, 256),
        (Architecture.ResNet18, new(32, 32, 3), 10, 64),
        (Architecture.ResNet18, new(224, 224, 3), 1000, 16),
        (Architecture.MobileNetV2, new(224, 224, 3), 1000, 16),
        (Architecture.MobileNetV3Small, new(224, 224, 3), 1000, 16),
        (Architecture.EfficientNetB0, new(224, 224, 3), 1000, 16),
        (Architecture.ViTTiny, new(224, 224, 3), 1000, 16),
        (Architecture.ResNet50, new(224, 224, 3), 1000, 16),
    ];

    /// <summary>Writes the tables as Markdown, each row as soon as it is measured.</summary>
    public static void Print(TextWriter output, string[] names)
    {
        output.WriteLine(Machine.Description);
        output.WriteLine();
        output.WriteLine(
            "| Network | One image, median (99 %), ms: ONNX Runtime | ours | ratio | libtorch | ApplyOnnxModel "
            + "| Batch, images/s: ONNX Runtime | ours | ratio | libtorch | ApplyOnnxModel | JPEG, images/s |");
        output.WriteLine("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
        foreach (var (architecture, shape, classes, batch) in Networks)
        {
            var name = $"{architecture}-{shape.Width}";
            if (names.Length == 0 || names.Contains(name))
            {
                using var contest = new ServingContest(architecture, shape, classes, batch);
                output.WriteLine($"| {name} | {OneImage(contest)} | {Batches(contest)} |");
            }
        }
        if (names.Length == 0 || names.Contains("first"))
            FirstPrediction.Print(output);
    }

    private static string OneImage(ServingContest contest)
    {
        // Single calls are timed, in blocks: the threads of one engine do not disturb those of the next.
        var all = new[] { contest.OnnxRuntime(1), contest.Predict(contest.Model), contest.Predict(contest.LibTorch), contest.ApplyOne() };
        var seconds = all.Select(_ => new List<double>()).ToArray();
        var medians = all.Select(_ => new List<double>()).ToArray();
        for (var round = -1; round < Rounds; round++)
        {
            for (var i = 0; i < all.Length; i++)
            {
                var contender = round % 2 == 0 ? i : all.Length - 1 - i;
                Thread.Sleep(20);
                var block = TimeBlock(all[contender]);
                if (round < 0)
                    continue;
                seconds[contender].AddRange(block);
                medians[contender].Add(block.Median());
            }
        }
        var ratio = Alternation.MedianRatio([.. medians[1]], [.. medians[0]]);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{Both(seconds[0])} | {Both(seconds[1])} | {ratio:0.00} | {Both(seconds[2])} | {Both(seconds[3])}");

        static string Both(List<double> times) => string.Create(
            CultureInfo.InvariantCulture, $"{times.Median():0.00} ({times.Order().ElementAt((int)(0.99 * (times.Count - 1))):0.00})");
    }

    /// <summary>The milliseconds of single calls, as many as fit into the time of a block.</summary>
    private static List<double> TimeBlock(Action call)
    {
        // The first calls of a block wake the threads.
        for (var i = 0; i < 2; i++)
            call();
        var times = new List<double>();
        for (var total = 0.0; total < BlockMilliseconds || times.Count < FewestCalls; total += times[^1])
        {
            var start = Stopwatch.GetTimestamp();
            call();
            times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        return times;
    }

    private static string Batches(ServingContest contest)
    {
        var count = contest.Count;
        Action[] runs =
        [
            contest.OnnxRuntime(contest.Batch), contest.Transform(contest.Model), contest.Transform(contest.LibTorch), contest.ApplyAll(),
            .. contest.TransformJpeg() is { } jpeg ? new[] { jpeg } : [],
        ];
        var times = Alternation.Time(Rounds, Array.ConvertAll(runs, Rested));
        var ratio = Alternation.MedianRatio(times[1], times[0]);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{Rate(0)} | {Rate(1)} | {ratio:0.00} | {Rate(2)} | {Rate(3)} | {(runs.Length > 4 ? Rate(4) : "")}");

        string Rate(int i) => string.Create(CultureInfo.InvariantCulture, $"{count / times[i].Median():N0}");

        static Contender Rested(Action run) => new(run, () =>
        {
            Thread.Sleep(20);
            return null;
        });
    }

    /// <summary>A model with random weights.</summary>
    public static FloodedImageClassificationTransformer CreateModel(
        MLContext context, Architecture architecture, ImageShape shape, int classes, ScoringEngine engine)
    {
        using var generator = new Generator(1);
        return new(context, architecture.Create(shape, classes, generator), new ModelDescription
        {
            Architecture = architecture.Name,
            Shape = shape,
            ScoringEngine = engine,
            Normalization = new Normalization([.. Enumerable.Repeat(120f, shape.Channels)], [.. Enumerable.Repeat(60f, shape.Channels)]),
            Labels = new LabelKeys(nameof(UInt32), classes, null, null),
            FeatureColumn = "Features",
            ScoreColumn = "Score",
            PredictedLabelColumn = "PredictedLabel",
            FloodLevel = 0,
            History = new TrainingHistory([], 0, false),
        });
    }
}
