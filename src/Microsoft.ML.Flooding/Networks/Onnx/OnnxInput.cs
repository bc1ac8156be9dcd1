using System.Globalization;
using Microsoft.ML.Flooding.Networks;

namespace Microsoft.ML.Flooding;

/// <summary>How a network in an ONNX file takes its images. The file does not say this; see the documentation of the network.</summary>
/// <remarks>
/// A pixel p from 0 to 255 becomes (p * <see cref="Scale"/> - mean) / deviation, with a mean and a deviation for each channel.
/// </remarks>
public sealed record OnnxInput
{
    private const float White = 255;

    /// <summary>
    /// The input of torchvision's models: red first, values from 0 to 1 minus the mean of ImageNet, divided by its standard deviation;
    /// seven eighths of the shorter side are cut from the center. The default.
    /// </summary>
    public static OnnxInput ImageNet { get; } = new()
    {
        Mean = Preprocessing.ImageNet.Mean,
        Deviation = Preprocessing.ImageNet.Deviation,
        CenterCrop = Preprocessing.ImageNet.CenterCrop,
    };

    /// <summary>The input of Caffe's and Keras's early models: blue first, values from 0 to 255 minus the mean of ImageNet.</summary>
    public static OnnxInput Caffe { get; } = new() { IsBlueFirst = true, Scale = 1, Mean = [123.68f, 116.779f, 103.939f] };

    /// <summary>The input of TensorFlow's MobileNets and Inception: red first, values from -1 to 1.</summary>
    public static OnnxInput MinusOneToOne { get; } = new() { Mean = [0.5f], Deviation = [0.5f] };

    /// <summary>Red first, values from 0 to 1.</summary>
    public static OnnxInput ZeroToOne { get; } = new();

    /// <summary>Red first, values from 0 to 255, for graphs that contain the normalization, such as those of <c>SaveAsOnnx</c>.</summary>
    public static OnnxInput Pixels { get; } = new() { Scale = 1 };

    /// <summary>The position of the channels. Default: derived from the sizes of the graph's input.</summary>
    public OnnxLayout Layout { get; init; }

    /// <summary>Whether the channels are in the order blue, green, red. Default: false (red, green, blue).</summary>
    public bool IsBlueFirst { get; init; }

    /// <summary>The factor that pixels are multiplied by, above 0. Default: 1 / 255.</summary>
    public float Scale { get; init; } = 1 / White;

    /// <summary>The mean to subtract from each channel, red first: one value for each channel, or one for all. Default: 0.</summary>
    public IReadOnlyList<float> Mean { get; init; } = [0];

    /// <summary>
    /// The standard deviation to divide each channel by, red first: one value above 0 for each channel, or one for all. Default: 1.
    /// </summary>
    public IReadOnlyList<float> Deviation { get; init; } = [1];

    /// <summary>
    /// An image to subtract after <see cref="Mean"/> and <see cref="Deviation"/> are applied: [C, H, W] in row-major order, with the
    /// channels in the network's order. Default: none.
    /// </summary>
    public IReadOnlyList<float>? MeanImage { get; init; }

    /// <summary>The path of an ONNX graph that prepares the images for the network. Default: none.</summary>
    public string? PreprocessingGraph { get; init; }

    /// <summary>The side of the images if the graph does not specify it, at least 1. Default: 224.</summary>
    public int Side { get; init; } = 224;

    /// <summary>
    /// The share of the shorter side that is cut from the center of an image, in (0, 1]. Null stretches the whole image. Default: 1.
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

    /// <summary>The preprocessing for images of a size, whose pixels are values from 0 to 1.</summary>
    /// <exception cref="ArgumentException">A setting is out of its range; the message names it.</exception>
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
            {
                throw new ArgumentException(
                    $"{name} must have a finite value for each of the {channels} channels, or one for all; it has {values.Count} values.");
            }
            return values.Count == 1 ? [.. Enumerable.Repeat(values[0], channels)] : [.. values];
        }
    }
}

/// <summary>The position of the channels in the images of an ONNX network.</summary>
public enum OnnxLayout
{
    /// <summary>Last if the last axis of the graph's input has a size of 1 or 3 and the second axis does not; otherwise first.</summary>
    Automatic,

    /// <summary>[N, C, H, W], as in PyTorch.</summary>
    ChannelsFirst,

    /// <summary>[N, H, W, C], as in TensorFlow.</summary>
    ChannelsLast,
}
