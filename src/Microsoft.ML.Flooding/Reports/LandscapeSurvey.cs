using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Runtime;
using Microsoft.ML.Flooding.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Reports;

/// <summary>Takes a <see cref="LossLandscape"/>.</summary>
internal static class LandscapeSurvey
{
    /// <param name="network">Moved about, and in the end where it was.</param>
    /// <param name="images">What the loss is taken on.</param>
    /// <param name="normalization">From pixels to the network's input.</param>
    /// <param name="device">Where it is computed.</param>
    /// <param name="options">Checked already.</param>
    /// <param name="checkAlive">Called before each batch; throws to cancel.</param>
    public static LossLandscape Of(
        Network network, ImageSet images, Normalization normalization, Device device, LossLandscapeOptions options, Action checkAlive)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        network.to(device);
        using var normalizer = normalization.On(device);
        using var generator = new Generator((ulong)options.Seed);
        var rows = arange(images.Count);
        var weights = network.parameters().Select(p => (Tensor)p).Where(p => p.dim() > 1).ToArray();
        var centre = weights.Select(w => w.clone()).ToArray();
        var first = Direction();
        var second = options.Dimensions == 2 ? Direction() : null;
        var half = options.Points / 2;
        double[] offsets = [.. Enumerable.Range(-half, options.Points).Select(i => options.Radius * i / half)];
        double[] across = second is null ? [0] : offsets;
        double[][] losses = [.. across.Select(b => offsets.Select(a => LossAt(a, b)).ToArray())];
        foreach (var (weight, value) in weights.Zip(centre))
            weight.copy_(value);
        return new LossLandscape(offsets, losses);

        Tensor[] Direction() => [.. centre.Select(w =>
        {
            var direction = randn(w.shape, generator: generator).to(device);
            long[] filter = [.. Enumerable.Range(1, (int)w.dim() - 1).Select(d => (long)d)];
            return direction * (Norm(w) / Norm(direction).AtLeast(1e-12));

            Tensor Norm(Tensor values) => values.square().sum(filter, keepdim: true).sqrt();
        })];

        double LossAt(double a, double b)
        {
            using var step = NewDisposeScope();
            for (var i = 0; i < weights.Length; i++)
            {
                weights[i].copy_(centre[i]).PlusInPlace(first[i], a);
                if (second is not null)
                    weights[i].PlusInPlace(second[i], b);
            }
            var (logits, labels) = Inference.ComputeLogits(network, ScalarType.Float32, images, rows, normalizer, device, checkAlive);
            return nn.functional.cross_entropy(logits.to(ScalarType.Float64), labels).item<double>();
        }
    }
}
