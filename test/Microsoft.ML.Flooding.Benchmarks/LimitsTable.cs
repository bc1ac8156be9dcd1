using System.Globalization;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>
/// `bench limits`: the machine's own limits, and each training row as a share of what the slowest of them allows. A training step takes
/// three times the multiply-adds of a forward pass: one for the result, one for the gradient of the input, one for that of the weights.
/// </summary>
internal static class LimitsTable
{
    private const int Rounds = 3;
    private const int Side = 2048;
    private const int Batch = 8;
    private const int PassesOfStep = 3;
    private static readonly ImageShape Photo = new(224, 224, 3);

    /// <summary>Writes the tables as Markdown, each row as soon as it is measured.</summary>
    public static void Print(TextWriter output)
    {
        var hasBFloat16 = NativeBFloat16.IsSupportedOn(CPU);
        var single = Products(ScalarType.Float32);
        var half = hasBFloat16 ? Products(ScalarType.BFloat16) : 0;
        var jpeg = Decoding();
        output.WriteLine(Machine.Description);
        output.WriteLine();
        output.WriteLine("| Limit | |");
        output.WriteLine("|---|---:|");
        output.WriteLine(Text($"| Float32 products, {Side} x {Side}, GFLOP/s | {single:N0} |"));
        output.WriteLine($"| BFloat16 products, GFLOP/s | {(hasBFloat16 ? Text($"{half:N0}") : "not measured: emulated")} |");
        output.WriteLine(Text($"| Memory, reading and writing, GB/s | {Bandwidth():N1} |"));
        output.WriteLine(Text($"| JPEG files of 224 x 224 decoded on all cores, images/s | {jpeg:N0} |"));
        output.WriteLine();
        output.WriteLine(
            $"| Training, 224 x 224, batches of {Batch} | Multiply-adds, millions | Allowed, images/s | Ours, images/s | Share of the allowed "
            + "| Share, bare libtorch loop | Share, convolutions alone |");
        output.WriteLine("|---|---:|---:|---:|---:|---:|---:|");
        foreach (var architecture in new[] { Architecture.ResNet18, Architecture.ResNet50 })
        {
            foreach (var precision in new[] { Precision.Float32, Precision.BFloat16 })
            {
                if (precision == Precision.Float32 || hasBFloat16)
                    output.WriteLine(Training(architecture, precision, precision == Precision.Float32 ? single : half, jpeg));
                else
                    output.WriteLine($"| {architecture}, {precision} | | | not measured: this processor emulates bfloat16 | | | |");
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

    private static string Training(Architecture architecture, Precision precision, double speed, double jpeg)
    {
        using var network = ArchitectureTable.CreateNetwork(architecture, Photo, classes: 10);
        var complexity = Complexity.Of(network, Photo);
        using var convolutions = new ConvolutionSteps(network, Photo, Batch, precision);
        using var work = Workload.Of(architecture, Photo, Batch, steps: 1);
        var times = Alternation.Time(Rounds, work.Ours(precision), work.Bare(precision), convolutions.Contender);
        var allowed = Math.Min(speed * 1e9 / (2 * PassesOfStep * complexity.MultiplyAdds), jpeg);
        var rates = times.Select(seconds => Batch / seconds.Median()).ToArray();
        return string.Create(
            CultureInfo.InvariantCulture,
            $"| {architecture}, {precision} | {complexity.MultiplyAdds / 1e6:N0} | {allowed:N1} | {rates[0]:N1} | {rates[0] / allowed:0 %} "
            + $"| {rates[1] / allowed:0 %} | {rates[2] / allowed:0 %} |");
    }

    /// <summary>The convolutions of a network with their gradients, one after another, without anything between them.</summary>
    private sealed class ConvolutionSteps : ShapeOperators, IDisposable
    {
        private readonly List<(Conv2d Layer, Tensor Input, Tensor Weight, Tensor ResultGradient)> _steps = [];
        private readonly ScalarType _type;

        public ConvolutionSteps(Network network, ImageShape shape, int batch, Precision precision)
        {
            _type = precision == Precision.BFloat16 ? ScalarType.BFloat16 : ScalarType.Float32;
            network.Logits(this, [batch, shape.Channels, shape.Height, shape.Width]);
            _steps[0].Input.requires_grad_(false);
        }

        public Contender Contender => new(Run, () =>
        {
            var heap = HeapRetention.ForTraining();
            Run();
            return heap;
        });

        public override long[] Conv2d(Conv2d conv, long[] x)
        {
            var result = base.Conv2d(conv, x);
            _steps.Add((conv, Draw(x).requires_grad_(), Draw(conv.weight.shape).requires_grad_(), Draw(result)));
            return result;
        }

        public void Dispose()
        {
            foreach (var (_, input, weight, gradient) in _steps)
            {
                input.Dispose();
                weight.Dispose();
                gradient.Dispose();
            }
        }

        private Tensor Draw(long[] shape)
        {
            using var scope = NewDisposeScope();
            // Channels last, as in training.
            return randn([shape[0], shape[2], shape[3], shape[1]]).to(_type).permute(0, 3, 1, 2).DetachFromDisposeScope();
        }

        private void Run()
        {
            foreach (var (layer, input, weight, gradient) in _steps)
            {
                using var scope = NewDisposeScope();
                var result = Networks.Convolution.Apply(layer, input, weight, null);
                autograd.grad([result], input.requires_grad ? [input, weight] : [weight], [gradient]);
            }
        }
    }
}
