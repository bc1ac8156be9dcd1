using System.Globalization;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Objectives;
using Microsoft.ML.Flooding.Runtime;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>
/// `bench limits`: the machine's own limits, and each training row as a share of what the slowest of them allows. A training step takes
/// three times the multiply-adds of a forward pass: one for the result, one for the gradient of the input, one for that of the weights.
/// </summary>
internal static class LimitsTable
{
    private const int Rounds = 5;
    private const int Side = 2048;
    private const int Batch = 8;
    private const int Classes = 1000;
    private const int PassesOfStep = 3;
    private static readonly ImageShape Photo = new(224, 224, 3);

    public static void Print(TextWriter output)
    {
        var single = Products(ScalarType.Float32);
        var half = Products(ScalarType.BFloat16);
        var jpeg = Decoding();
        output.WriteLine($"{Environment.ProcessorCount} cores, {ServingTable.Processor()}, {DateTime.UtcNow:yyyy-MM-dd}");
        output.WriteLine();
        output.WriteLine("| Limit | |");
        output.WriteLine("|---|---:|");
        output.WriteLine(Text($"| Float32 products, {Side} x {Side}, GFLOP/s | {single:N0} |"));
        output.WriteLine(Text($"| BFloat16 products, GFLOP/s | {half:N0} |"));
        output.WriteLine(Text($"| Memory, reading and writing, GB/s | {Bandwidth():N1} |"));
        output.WriteLine(Text($"| JPEG files of 224 x 224 decoded on all cores, images/s | {jpeg:N0} |"));
        output.WriteLine();
        output.WriteLine("| Training, 224 x 224 | Multiply-adds, millions | Allowed, images/s | Ours | Share |");
        output.WriteLine("|---|---:|---:|---:|---:|");
        foreach (var architecture in new[] { Architecture.ResNet18, Architecture.ResNet50 })
        {
            foreach (var (type, speed) in new[] { (ScalarType.Float32, single), (ScalarType.BFloat16, half) })
            {
                var (multiplyAdds, rate) = Training(architecture, type);
                var allowed = Math.Min(speed * 1e9 / (2 * PassesOfStep * multiplyAdds), jpeg);
                output.WriteLine(Text(
                    $"| {architecture}, {type} | {multiplyAdds / 1e6:N0} | {allowed:N1} | {rate:N1} | {rate / allowed:0 %} |"));
            }
        }
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    /// <summary>Billions of operations a second of a product of square matrices, with the library's own choice of kernel.</summary>
    private static double Products(ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var (x, weight) = (randn([Side, Side]).to(type), randn([Side, Side]).to(type));
        var times = Alternation.Time(Rounds, () => LinearLayer.Apply(x, weight, null).Dispose());
        return 2.0 * Side * Side * Side / times[0].Min() / 1e9;
    }

    private static double Bandwidth()
    {
        using var scope = NewDisposeScope();
        var (from, to) = (zeros([64 << 20]), zeros([64 << 20]));
        var times = Alternation.Time(Rounds, () => to.copy_(from));
        return 2.0 * sizeof(float) * (64 << 20) / times[0].Min() / 1e9;
    }

    private static double Decoding()
    {
        var files = Drawings.Jpeg(200, Photo.Width).ToArray();
        var times = Alternation.Time(Rounds, () => Parallel.ForEach(files, () => new byte[Photo.Length], (file, _, pixels) =>
        {
            if (!EncodedImage.TryDecode(file, Photo, null, ImageColumn.DefaultMaxPixels, pixels, out var problem))
                throw new InvalidOperationException(problem);
            return pixels;
        }, _ => { }));
        return files.Length / times[0].Min();
    }

    private static (double MultiplyAdds, double Rate) Training(Architecture architecture, ScalarType precision)
    {
        using var heap = HeapRetention.ForTraining();
        using var images = ArchitectureTable.DrawImages(Photo, Classes, Batch);
        using var rows = arange(Batch);
        using var network = ArchitectureTable.CreateNetwork(architecture, Photo, Classes);
        var complexity = Complexity.Of(network, Photo);
        using var run = new TrainingRun(
            network, Flood.At(0.03f), new TrainingOptions { BatchSize = Batch, Epochs = 1_000_000 },
            new TrainingData(images, rows, null, null), ArchitectureTable.NormalizationOf(Photo), CPU, precision, 1, () => { });
        var times = Alternation.Time(Rounds, () => run.TrainEpoch());
        return (complexity.MultiplyAdds, Batch / times[0].Median());
    }
}
