using System.Globalization;
using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>Training throughput beside the hand-written loop.</summary>
internal static class TrainingRows
{
    // Fewer than an epoch of MNIST has; what an epoch costs besides its steps is shared out among them.
    private const int StepsPerEpoch = 100;
    private const int Layouts = 4;

    public static IEnumerable<Row> All =>
    [
        Throughput("resnet18-float32", "ResNet-18, 32x32x3, SGD, Float32", 1.25, () => Workload.ResNet18(2), Precision.Float32, 3),
        Throughput("resnet18-bfloat16", "ResNet-18, 32x32x3, SGD, BFloat16", 2.5, () => Workload.ResNet18(2), Precision.BFloat16, 3),
        Throughput("convnet-float32", "ConvNet, 28x28x1, SGD, Float32", 1.0, () => Workload.ConvNet(6), Precision.Float32, 7),
        Throughput("convnet-bfloat16", "ConvNet, 28x28x1, SGD, BFloat16", 1.6, () => Workload.ConvNet(6), Precision.BFloat16, 7),
        Throughput("mlp-float32", "MLP 784-1000-1000-10, SGD, Float32", 1.05, () => Workload.Mlp(40), Precision.Float32, 11),
        Throughput("mlp-bfloat16", "MLP 784-1000-1000-10, SGD, BFloat16", 2.0, () => Workload.Mlp(40), Precision.BFloat16, 11),
        Throughput("mlp-adam", "MLP 784-1000-1000-10, Adam, Float32", 1.3, () => Workload.Mlp(40, Optimizer.Adam), Precision.Float32, 11),
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

    private static Figure Step()
    {
        using var fit = HeapRetention.Begin();
        // A few percent hang on where the tensors of each come to lie: they are laid out anew, in turn the one and the other first.
        double[] ours = [], bare = [];
        for (var layout = 0; layout < Layouts; layout++)
        {
            using var work = Workload.Mlp(StepsPerEpoch);
            var bareFirst = layout % 2 == 0 ? work.Bare(Precision.Float32) : null;
            var run = work.Ours(Precision.Float32);
            var times = Alternation.Time(5, run.Run, (bareFirst ?? work.Bare(Precision.Float32)).Run);
            (ours, bare) = ([.. ours, .. times[0]], [.. bare, .. times[1]]);
        }
        return new Figure(Alternation.MedianRatio(ours, bare), Milliseconds(ours, StepsPerEpoch), Milliseconds(bare, StepsPerEpoch));
    }

    private static Figure FloodedAgainstPlain()
    {
        using var fit = HeapRetention.Begin();
        using var work = Workload.ConvNet(4);
        var times = Alternation.Time(25, work.Ours(Precision.Float32, 0.03f).Run, work.Ours(Precision.Float32).Run);
        return new Figure(Alternation.MedianRatio(times[0], times[1]), Milliseconds(times[0], 4), Milliseconds(times[1], 4));
    }

    private static string ImagesPerSecond(double rate) => string.Create(CultureInfo.InvariantCulture, $"{rate:n0} images/s");

    private static string Milliseconds(double[] seconds, int steps) => string.Create(CultureInfo.InvariantCulture, $"{seconds.Median() / steps * 1e3:0.00} ms");
}
