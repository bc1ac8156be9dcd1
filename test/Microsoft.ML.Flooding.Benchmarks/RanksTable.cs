using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Objectives;
using Microsoft.ML.Flooding.Runtime;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>
/// The tables of docs/scaling.md. One process measures its steps and predicts those of several; processes of mpirun measure their
/// reductions and compare their steps with the prediction. Times are those of the fastest try: other work on the machine only adds.
/// </summary>
internal static class RanksTable
{
    private const int Rounds = 3;
    private const int Reductions = 200;
    private const double LinkLatency = 20e-6;

    private static readonly ImageShape Digit = new(28, 28, 1);
    private static readonly ImageShape Photo = new(224, 224, 3);

    private static readonly (Architecture Architecture, ImageShape Shape, int Classes, int Batch)[] Networks =
    [
        (Architecture.Mlp.WithHiddenSizes(500, 500), Digit, 10, 128), (Architecture.ConvNet, Digit, 10, 128),
        (Architecture.ResNet18, Photo, 1000, 16), (Architecture.ResNet50, Photo, 1000, 8),
    ];

    /// <summary>Writes the tables as Markdown. Only rank 0 writes.</summary>
    public static void Print(TextWriter output)
    {
        var group = Mpi.World;
        output = group.Rank == 0 ? output : TextWriter.Null;
        // The conditions within a Fit, after its first steps.
        using var heap = HeapRetention.ForTraining();
        using var ranks = new Ranks(group, CancellationToken.None);
        if (group.Size == 1)
            PrintPredictions(output);
        else
            PrintMeasurements(output, ranks);
        ranks.Complete();
    }

    private static void PrintPredictions(TextWriter output)
    {
        foreach (var (architecture, shape, classes, batch) in Networks[2..])
        {
            var (step, gradients) = Measure(architecture, shape, classes, batch, ranks: null);
            output.WriteLine(Text($"{architecture}: {step:0.00} s for {batch} images, {gradients * 4 / 1e6:0.0} MB of gradients."));
            output.WriteLine();
            output.WriteLine(Text(
                $"| Nodes | 10 Gbit/s, {batch} images each | 100 Gbit/s, {batch} each | 10 Gbit/s, 256 shared | 100 Gbit/s, 256 shared |"));
            output.WriteLine("|---:|---:|---:|---:|---:|");
            foreach (var nodes in new[] { 1, 2, 4, 8, 16, 32, 64 })
            {
                double Each(double gigabits) => nodes * step / (step + Reduction(nodes, gradients, gigabits));
                double Shared(double gigabits) =>
                    256.0 / batch * step / ((256.0 / nodes / batch * step) + Reduction(nodes, gradients, gigabits));
                output.WriteLine(Text($"| {nodes} | {Each(10):0.0} | {Each(100):0.0} | {Shared(10):0.0} | {Shared(100):0.0} |"));
            }
            output.WriteLine();
        }
    }

    /// <summary>Seconds of a ring: each node sends its share of the values 2 (R - 1) times.</summary>
    private static double Reduction(int nodes, long values, double gigabits) =>
        2.0 * (nodes - 1) * (LinkLatency + (values * sizeof(float) / (double)nodes / (gigabits * 1e9 / 8)));

    private static void PrintMeasurements(TextWriter output, Ranks ranks)
    {
        output.WriteLine("| Values | MB | Reduction, ms | MB/s |");
        output.WriteLine("|---:|---:|---:|---:|");
        foreach (var count in new[] { 1, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 25_557_032 })
        {
            var seconds = TimeReduction(ranks, count);
            var megabytes = count * 4 / 1e6;
            output.WriteLine(Text($"| {count:N0} | {megabytes:0.000} | {seconds * 1e3:0.000} | {megabytes / seconds:N0} |"));
        }
        output.WriteLine();
        output.WriteLine(
            "| Network | Images of a step | Alone, ms | Share alone, ms | Reduction, ms | Predicted, ms | Measured, ms | Speed-up |");
        output.WriteLine("|---|---:|---:|---:|---:|---:|---:|---:|");
        foreach (var (architecture, shape, classes, batch) in Networks)
        {
            // All ranks compute at the same time, as they do when they share the mini-batch.
            var (whole, gradients) = Measure(architecture, shape, classes, batch, ranks: null);
            var (share, _) = Measure(architecture, shape, classes, batch / ranks.Size, ranks: null);
            var (shared, _) = Measure(architecture, shape, classes, batch, ranks);
            var reduction = TimeReduction(ranks, checked((int)gradients));
            output.WriteLine(Text(
                $"| `{architecture}` | {batch} | {whole * 1e3:0.0} | {share * 1e3:0.0} | {reduction * 1e3:0.0} ")
                + Text($"| {(share + reduction) * 1e3:0.0} | {shared * 1e3:0.0} | {whole / shared:0.00} |"));
        }
    }

    private static double TimeReduction(Ranks ranks, int count)
    {
        using var values = zeros(count);
        // A large reduction takes as long as hundreds of small ones.
        double[] seconds = [.. Enumerable.Range(0, count > 1_000_000 ? 20 : Reductions).Select(_ =>
        {
            var start = Stopwatch.GetTimestamp();
            ranks.Sum(values);
            return Stopwatch.GetElapsedTime(start).TotalSeconds;
        })];
        return seconds[1..].Min();
    }

    /// <summary>The seconds of the fastest step, and the number of weights.</summary>
    private static (double Seconds, long Weights) Measure(
        Architecture architecture, ImageShape shape, int classes, int batch, Ranks? ranks)
    {
        using var scope = NewDisposeScope();
        // An epoch of a small network has several steps, because it is short, and the ranks also meet at its end.
        var steps = shape == Digit ? 20 : 1;
        using var images = ArchitectureTable.DrawImages(shape, classes, batch * steps);
        using var network = ArchitectureTable.CreateNetwork(architecture, shape, classes);
        using var run = new TrainingRun(
            network, Flood.At(0.03f), new TrainingOptions { BatchSize = batch, Epochs = 1_000_000 },
            new TrainingData(images, arange(batch * steps), null, null), ArchitectureTable.NormalizationOf(shape), CPU,
            ScalarType.Float32, 1, () => { }, ranks);
        double[] seconds = [.. Enumerable.Range(0, Rounds + 1).Select(_ =>
        {
            var start = Stopwatch.GetTimestamp();
            run.TrainEpoch();
            return Stopwatch.GetElapsedTime(start).TotalSeconds / steps;
        })];
        return (seconds[1..].Min(), network.parameters().Sum(p => p.numel()));
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
