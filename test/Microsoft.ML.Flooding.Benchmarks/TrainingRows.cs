using System.Globalization;
using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>Training throughput beside the hand-written loop.</summary>
internal static class TrainingRows
{
    // Fewer than an epoch of MNIST has; what an epoch costs besides its steps is shared out among them.
    private const int StepsPerEpoch = 100;

    public static IEnumerable<Row> All =>
    [
        Throughput("resnet18-float32", "ResNet-18, 32x32x3, SGD, Float32", 1.25, () => Workload.ResNet18(1), Precision.Float32, 3),
        Throughput("resnet18-bfloat16", "ResNet-18, 32x32x3, SGD, BFloat16", 2.5, () => Workload.ResNet18(1), Precision.BFloat16, 3),
        Throughput("convnet-float32", "ConvNet, 28x28x1, SGD, Float32", 1.0, () => Workload.ConvNet(6), Precision.Float32, 5),
        Throughput("convnet-bfloat16", "ConvNet, 28x28x1, SGD, BFloat16", 1.6, () => Workload.ConvNet(6), Precision.BFloat16, 5),
        Throughput("mlp-float32", "MLP 784-1000-1000-10, SGD, Float32", 1.05, () => Workload.Mlp(40), Precision.Float32, 7),
        Throughput("mlp-bfloat16", "MLP 784-1000-1000-10, SGD, BFloat16", 2.0, () => Workload.Mlp(40), Precision.BFloat16, 7),
        Throughput("mlp-adam", "MLP 784-1000-1000-10, Adam, Float32", 1.3, () => Workload.Mlp(40, Optimizer.Adam), Precision.Float32, 7),
        new Row("step", "Fit per step / bare forward + backward + fused step (MLP)", 1.03, false, Step),
        new Row("flood", "Flooded / plain step, neither averaged (ConvNet)", 1.01, false, FloodedAgainstPlain),
    ];

    private static Row Throughput(string name, string workload, double floor, Func<Workload> create, Precision precision, int rounds) =>
        new(name, workload, floor, true, () =>
        {
            using var work = create();
            var times = Alternation.Time(rounds, work.ByHand(), work.Ours(precision), work.Bare(precision));
            var rates = times.Select(t => work.Images / t.Median()).ToArray();
            return new Figure(Alternation.MedianRatio(times[0], times[1]), ImagesPerSecond(rates[1]), ImagesPerSecond(rates[0]), ImagesPerSecond(rates[2]));
        });

    private static Figure Step() => AcrossLayouts(6, 4, StepsPerEpoch, () => Workload.Mlp(StepsPerEpoch),
        work => work.Ours(Precision.Float32), work => work.Bare(Precision.Float32));

    private static Figure FloodedAgainstPlain() => AcrossLayouts(8, 14, 1, () => Workload.ConvNet(1),
        work => work.Ours(Precision.Float32, 0.03f), work => work.Ours(Precision.Float32));

    /// <summary>
    /// Of what differs by a percent or less. A few percent hang on where the tensors of each come to lie: they are laid out anew, in turn the one and
    /// the other first.
    /// </summary>
    private static Figure AcrossLayouts(
        int layouts, int rounds, int steps, Func<Workload> create, Func<Workload, Contender> ours, Func<Workload, Contender> baseline)
    {
        using var fit = HeapRetention.Begin();
        double[] first = [], second = [];
        for (var layout = 0; layout < layouts; layout++)
        {
            using var work = create();
            var early = layout % 2 == 0 ? baseline(work) : null;
            var run = ours(work);
            var times = Alternation.Time(rounds, run.Run, (early ?? baseline(work)).Run);
            (first, second) = ([.. first, .. times[0]], [.. second, .. times[1]]);
        }
        return new Figure(Alternation.MedianRatio(first, second), Milliseconds(first, steps), Milliseconds(second, steps));
    }

    private static string ImagesPerSecond(double rate) => string.Create(CultureInfo.InvariantCulture, $"{rate:n0} images/s");

    private static string Milliseconds(double[] seconds, int steps) => string.Create(CultureInfo.InvariantCulture, $"{seconds.Median() / steps * 1e3:0.00} ms");
}
