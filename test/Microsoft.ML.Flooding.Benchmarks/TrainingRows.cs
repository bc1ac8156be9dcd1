using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>Rows that compare training throughput with a hand-written loop.</summary>
internal static class TrainingRows
{
    // Fewer than in an epoch of MNIST. The steps share the other costs of an epoch.
    private const int StepsPerEpoch = 100;

    public static IEnumerable<Row> All =>
    [
        Throughput("resnet18-float32", "ResNet-18, 32x32x3, SGD, Float32", 1.25, () => Workload.ResNet18(1), Precision.Float32, 3),
        Throughput("resnet18-bfloat16", "ResNet-18, 32x32x3, SGD, BFloat16", 2.5, () => Workload.ResNet18(1), Precision.BFloat16, 3),
        Throughput("convnet-float32", "ConvNet, 28x28x1, SGD, Float32", 1.0, () => Workload.ConvNet(6), Precision.Float32, 7),
        Throughput("convnet-bfloat16", "ConvNet, 28x28x1, SGD, BFloat16", 1.6, () => Workload.ConvNet(6), Precision.BFloat16, 7),
        Throughput("mlp-float32", "MLP 784-1000-1000-10, SGD, Float32", 1.05, () => Workload.Mlp(40), Precision.Float32, 7),
        Throughput("mlp-bfloat16", "MLP 784-1000-1000-10, SGD, BFloat16", 2.0, () => Workload.Mlp(40), Precision.BFloat16, 7),
        Throughput("mlp-adam", "MLP 784-1000-1000-10, Adam, Float32", 1.3, () => Workload.Mlp(40, Optimizer.Adam), Precision.Float32, 7),
        new Row("step", "Fit per step / bare forward + backward + fused step (MLP)", 1.03, false, Step),
        new Row("flood", "Flooded / plain step, neither averaged (ConvNet, batch 32)", 1.01, false, FloodedAgainstPlain),
    ];

    private static Row Throughput(string name, string workload, double floor, Func<Workload> create, Precision precision, int rounds) =>
        new(name, workload, floor, true, () =>
        {
            using var work = create();
            var times = Alternation.Time(rounds, work.ByHand(), work.Ours(precision), work.Bare(precision));
            var rates = times.Select(t => work.Images / t.Median()).ToArray();
            return new Figure(
                Alternation.MedianRatio(times[0], times[1]),
                ImagesPerSecond(rates[1]), ImagesPerSecond(rates[0]), ImagesPerSecond(rates[2]));
        }, NeedsBFloat16: precision == Precision.BFloat16);

    /// <summary>
    /// Runs a bare step before each step of an epoch, so that changes of the machine's speed within tenths of a second affect both. The
    /// last step includes the work at the end of the epoch. The positions of the tensors in memory also matter, so each layout creates
    /// them anew, and the order in which the two create theirs alternates.
    /// </summary>
    private static Figure Step()
    {
        const int Layouts = 4, Epochs = 4;
        using var fit = HeapRetention.ForTraining();
        List<double> ours = [], bare = [];
        for (var layout = 0; layout < Layouts; layout++)
        {
            using var work = Workload.Mlp(StepsPerEpoch);
            var watch = new Stopwatch();
            var bareStep = layout % 2 == 0 ? work.BareStep(Precision.Float32) : null;
            var epoch = work.Ours(Precision.Float32, beforeStep: () =>
            {
                watch.Start();
                bareStep!();
                watch.Stop();
            });
            bareStep ??= work.BareStep(Precision.Float32);
            epoch.Run();
            for (var i = 0; i < Epochs; i++)
            {
                watch.Reset();
                var start = Stopwatch.GetTimestamp();
                epoch.Run();
                ours.Add((Stopwatch.GetElapsedTime(start) - watch.Elapsed).TotalSeconds);
                bare.Add(watch.Elapsed.TotalSeconds);
            }
        }
        return new Figure(
            Alternation.MedianRatio([.. ours], [.. bare]), Milliseconds(ours, StepsPerEpoch), Milliseconds(bare, StepsPerEpoch));
    }

    /// <summary>
    /// Compares epochs of one step with small batches. They are short compared with disturbances of the machine, so the median ignores
    /// the disturbances.
    /// </summary>
    private static Figure FloodedAgainstPlain()
    {
        const int Layouts = 16, Rounds = 32;
        using var fit = HeapRetention.ForTraining();
        List<double> flooded = [], plain = [];
        for (var layout = 0; layout < Layouts; layout++)
        {
            using var work = Workload.ConvNet(1, batch: 32);
            var early = layout % 2 == 0 ? work.Ours(Precision.Float32) : null;
            var run = work.Ours(Precision.Float32, 0.03f);
            var times = Alternation.Time(Rounds, run.Run, (early ?? work.Ours(Precision.Float32)).Run);
            flooded.AddRange(times[0]);
            plain.AddRange(times[1]);
        }
        return new Figure(Alternation.MedianRatio([.. flooded], [.. plain]), Milliseconds(flooded, 1), Milliseconds(plain, 1));
    }

    private static string ImagesPerSecond(double rate) => string.Create(CultureInfo.InvariantCulture, $"{rate:n0} images/s");

    private static string Milliseconds(IEnumerable<double> seconds, int steps) =>
        string.Create(CultureInfo.InvariantCulture, $"{seconds.Median() / steps * 1e3:0.00} ms");
}
