using System.Globalization;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Runtime;
using Microsoft.ML.Flooding.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding;

/// <summary>
/// The loss around a trained network along random directions, whose filters have the same norms as the filters of the network (Li et al.,
/// "Visualizing the Loss Landscape of Neural Nets", NeurIPS 2018). Distances can therefore be compared between networks whose weights have
/// different scales. Biases and normalization parameters do not change.
/// </summary>
public sealed record LossLandscape
{
    internal LossLandscape(IReadOnlyList<double> offsets, IReadOnlyList<IReadOnlyList<double>> losses)
    {
        Offsets = offsets;
        Losses = losses;
    }

    /// <summary>
    /// The steps along a direction, in ascending order from minus the radius to the radius, with 0 in the middle. A step of 1 moves a
    /// filter by its own norm.
    /// </summary>
    public IReadOnlyList<double> Offsets { get; }

    /// <summary>
    /// The mean cross-entropy at each offset along the first direction (inner list), for each offset along the second direction (outer
    /// list). In one dimension, the outer list has one entry.
    /// </summary>
    public IReadOnlyList<IReadOnlyList<double>> Losses { get; }

    /// <summary>The number of directions, 1 or 2.</summary>
    public int Dimensions => Losses.Count == 1 ? 1 : 2;

    /// <summary>The loss of the network itself.</summary>
    public double Loss => Losses[Losses.Count / 2][Offsets.Count / 2];

    /// <summary>
    /// The mean loss at the two ends of each direction, minus the loss of the network itself: the expected increase from a random step as
    /// long as the radius. A flatter minimum has a smaller value.
    /// </summary>
    public double Sharpness
    {
        get
        {
            var row = Losses[Losses.Count / 2];
            double[] ends = Dimensions == 1
                ? [row[0], row[^1]]
                : [row[0], row[^1], Losses[0][Offsets.Count / 2], Losses[^1][Offsets.Count / 2]];
            return ends.Average() - Loss;
        }
    }

    /// <summary>Returns the loss and the sharpness as one sentence.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"Loss {Loss:0.0000}, sharpness {Sharpness:0.0000}, over {Offsets.Count} points for each of {Dimensions} direction(s), "
        + $"to a radius of {Offsets[^1]}.");

    /// <summary>Measures the loss around a trained network.</summary>
    /// <param name="network">The network. Its weights change during the measurement and are restored at the end.</param>
    /// <param name="images">The images on which to compute the loss.</param>
    /// <param name="normalization">The normalization of the pixels.</param>
    /// <param name="device">The device to compute on.</param>
    /// <param name="options">Valid options.</param>
    /// <param name="checkAlive">Called before each batch; throws to cancel.</param>
    internal static LossLandscape Measure(
        Network network, ImageSet images, Normalization normalization, Device device, LossLandscapeOptions options, Action checkAlive)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        network.to(device);
        using var normalizer = normalization.On(device);
        using var generator = new Generator((ulong)options.Seed);
        var rows = arange(images.Count);
        var weights = network.parameters().Select(p => (Tensor)p).Where(p => p.dim() > 1).ToArray();
        var center = weights.Select(w => w.clone()).ToArray();
        var first = Direction();
        var second = options.Dimensions == 2 ? Direction() : null;
        var half = options.Points / 2;
        double[] offsets = [.. Enumerable.Range(-half, options.Points).Select(i => options.Radius * i / half)];
        double[] across = second is null ? [0] : offsets;
        double[][] losses = [.. across.Select(b => offsets.Select(a => LossAt(a, b)).ToArray())];
        foreach (var (weight, value) in weights.Zip(center))
            weight.copy_(value);
        return new LossLandscape(offsets, losses);

        Tensor[] Direction() => [.. center.Select(w =>
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
                weights[i].copy_(center[i]).PlusInPlace(first[i], a);
                if (second is not null)
                    weights[i].PlusInPlace(second[i], b);
            }
            var (logits, labels) = Inference.ComputeLogits(network, ScalarType.Float32, images, rows, normalizer, device, checkAlive);
            return nn.functional.cross_entropy(logits.to(ScalarType.Float64), labels).item<double>();
        }
    }
}

/// <summary>Options for measuring a <see cref="LossLandscape"/>.</summary>
public sealed record LossLandscapeOptions
{
    /// <summary>
    /// 1 for a line, 2 for a plane. A plane takes the square of the passes over the data that a line takes, one for each point. Default: 1.
    /// </summary>
    public int Dimensions { get; init; } = 1;

    /// <summary>The number of points along a direction: odd, from 3 to 1,001. Default: 21.</summary>
    public int Points { get; init; } = 21;

    /// <summary>
    /// The largest step along a direction, greater than 0 and at most 1,000. A step of 1 moves a filter by its own norm. Default: 1.
    /// </summary>
    public double Radius { get; init; } = 1;

    /// <summary>The seed of the directions. Default: 0.</summary>
    public int Seed { get; init; }

    /// <summary>Throws for the first option that is out of range.</summary>
    internal void Validate()
    {
        if (Dimensions is not (1 or 2))
            throw new ArgumentOutOfRangeException(nameof(Dimensions), Dimensions, "Dimensions must be 1 or 2.");
        if (Points is < 3 or > 1001 || Points % 2 == 0)
            throw new ArgumentOutOfRangeException(
                nameof(Points), Points, "Points must be odd, so that one point is the network itself, and from 3 to 1001.");
        if (Radius is not (> 0 and <= 1000))
            throw new ArgumentOutOfRangeException(nameof(Radius), Radius, "Radius must be greater than 0 and at most 1000.");
    }
}
