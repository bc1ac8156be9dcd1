using System.Globalization;
using Microsoft.ML.Flooding.Networks;

namespace Microsoft.ML.Flooding;

/// <summary>How a network in an ONNX file takes its images, which the file itself does not tell: see where it comes from.</summary>
/// <remarks>
/// A pixel p from 0 to 255 becomes (p * <see cref="Scale"/> - mean) / deviation, with a mean and a deviation for each channel.
/// </remarks>
public sealed record OnnxInput
{
    private const float White = 255;

    /// <summary>
    /// As torchvision's models: red first, values from 0 to 1 less the mean of ImageNet, divided by its deviation, and seven eighths of the
    /// shorter
    /// side cut from the middle. The default.
    /// </summary>
    public static OnnxInput ImageNet { get; } = new()
    {
        Mean = Preprocessing.ImageNet.Mean,
        Deviation = Preprocessing.ImageNet.Deviation,
        CenterCrop = Preprocessing.ImageNet.CenterCrop,
    };

    /// <summary>As Caffe's models and Keras's first ones: blue first, values from 0 to 255 less the mean of ImageNet.</summary>
    public static OnnxInput Caffe { get; } = new() { IsBlueFirst = true, Scale = 1, Mean = [123.68f, 116.779f, 103.939f] };

    /// <summary>As TensorFlow's MobileNets and Inception: red first, values from -1 to 1.</summary>
    public static OnnxInput MinusOneToOne { get; } = new() { Mean = [0.5f], Deviation = [0.5f] };

    /// <summary>Red first, values from 0 to 1.</summary>
    public static OnnxInput ZeroToOne { get; } = new();

    /// <summary>Red first, values from 0 to 255: the graph itself does the rest, as that of <c>SaveAsOnnx</c>.</summary>
    public static OnnxInput Pixels { get; } = new() { Scale = 1 };

    /// <summary>Where the channels lie. The default tells it from the sizes of the graph's input.</summary>
    public OnnxLayout Layout { get; init; }

    /// <summary>Whether the network takes blue, green and red in this order. The default is red, green and blue.</summary>
    public bool IsBlueFirst { get; init; }

    /// <summary>What pixels are multiplied by, above 0. The default is 1 / 255.</summary>
    public float Scale { get; init; } = 1 / White;

    /// <summary>Subtracted from each channel, red first: a value for each, or one for all. The default is 0.</summary>
    public IReadOnlyList<float> Mean { get; init; } = [0];

    /// <summary>Divides each channel, red first: a value above 0 for each, or one for all. The default is 1.</summary>
    public IReadOnlyList<float> Deviation { get; init; } = [1];

    /// <summary>
    /// An image that is subtracted behind <see cref="Mean"/> and <see cref="Deviation"/>: [C, H, W], row by row, its channels in the
    /// network's order.
    /// The default is none.
    /// </summary>
    public IReadOnlyList<float>? MeanImage { get; init; }

    /// <summary>The path of an ONNX graph that prepares the images, whose result the network takes. The default is none.</summary>
    public string? PreprocessingGraph { get; init; }

    /// <summary>The side of the images where the graph leaves it open, at least 1. The default is 224.</summary>
    public int Side { get; init; } = 224;

    /// <summary>
    /// The share of the shorter side that is cut from the middle of an image, in (0, 1]; null: images are stretched as a whole. The default
    /// is 1.
    /// </summary>
    public double? CenterCrop { get; init; } = 1;

    /// <summary>The order of the channels and what happens to a pixel.</summary>
    public override string ToString()
    {
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{(IsBlueFirst ? "blue" : "red")} first, layout {Layout}, (pixel * {Scale} - {Join(Mean)}) / {Join(Deviation)}")
            + (MeanImage is null ? "" : ", less a mean image") + (PreprocessingGraph is null ? "" : $", prepared by '{PreprocessingGraph}'")
            + string.Create(CultureInfo.InvariantCulture, $", side {Side}, ")
            + (CenterCrop is { } crop ? string.Create(CultureInfo.InvariantCulture, $"center crop {crop}") : "stretched");

        static string Join(IReadOnlyList<float> values) =>
            $"({string.Join(", ", values.Select(value => value.ToString(CultureInfo.InvariantCulture)))})";
    }

    /// <summary>What pixels from 0 to 1 have subtracted and are divided by, for images of a size.</summary>
    /// <exception cref="ArgumentException">A setting is outside of its range; the message names it.</exception>
    internal Preprocessing For(int height, int width, int channels)
    {
        if (!(Scale > 0 && float.IsFinite(Scale)))
            throw new ArgumentException($"{nameof(Scale)} must be above 0; it is {Scale}.");
        if (CenterCrop is not (null or > 0 and <= 1))
            throw new ArgumentException($"{nameof(CenterCrop)} must be above 0 and at most 1; it is {CenterCrop}.");
        var (mean, deviation) = (ForEach(Mean, nameof(Mean)), ForEach(Deviation, nameof(Deviation)));
        if (!Array.TrueForAll(deviation, value => value > 0))
            throw new ArgumentException($"{nameof(Deviation)} must be above 0.");
        var unit = Scale * White;
        return new Preprocessing(
            height, width, CenterCrop, [.. mean.Select(value => value / unit)], [.. deviation.Select(value => value / unit)]);

        float[] ForEach(IReadOnlyList<float> values, string name)
        {
            if ((values.Count != 1 && values.Count != channels) || !values.All(float.IsFinite))
                throw new ArgumentException(
                    $"{name} has {values.Count} values; a finite one for each of the {channels} channels is needed, or one for all.");
            return values.Count == 1 ? [.. Enumerable.Repeat(values[0], channels)] : [.. values];
        }
    }

    private IEnumerable<string> Settings()
    {
        yield return IsBlueFirst ? "blue first" : "red first";
        yield return FormattableString.Invariant($"(pixel * {Scale} - ({List(Mean)})) / ({List(Deviation)})");
        if (MeanImage is { } image)
            yield return FormattableString.Invariant($"less an image of {image.Count} values");
        if (PreprocessingGraph is { } graph)
            yield return $"through '{graph}'";
        if (Layout != OnnxLayout.Automatic)
            yield return $"layout {Layout}";
        yield return CenterCrop is { } share ? FormattableString.Invariant($"{share:0.###} of the shorter side") : "stretched as a whole";

        static string List(IReadOnlyList<float> values) => string.Join(", ", values.Select(value => FormattableString.Invariant($"{value}")));
    }
}

/// <summary>Where the channels of an ONNX network's images lie.</summary>
public enum OnnxLayout
{
    /// <summary>
    /// Told from the sizes of the graph's input: last where that has one or three values on the last axis and not on the second.
    /// </summary>
    Automatic,

    /// <summary>[N, C, H, W], as PyTorch has them.</summary>
    ChannelsFirst,

    /// <summary>[N, H, W, C], as TensorFlow has them.</summary>
    ChannelsLast,
}
