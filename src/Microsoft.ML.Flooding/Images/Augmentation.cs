using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding;

/// <summary>
/// Random changes to the training images, drawn again for each image and epoch. Scoring does not use them. Start from a preset and change
/// single settings: <c>Augmentation.Small with { ErasingProbability = 0.25 }</c>.
/// </summary>
/// <remarks>
/// The changes are applied in the order of the properties, to pixels before normalization: padding is black if 0 is black.
/// </remarks>
public sealed record Augmentation
{
    // Zhong et al., Random Erasing Data Augmentation (2020): the paper's ranges of area and aspect ratio.
    private const double MinErasedArea = 0.02;
    private const double MaxErasedArea = 1.0 / 3;
    private const double MaxErasedAspect = 1 / 0.3;

    private const int MaxCropPadding = 512;

    private readonly int _cropPadding;
    private readonly double _flipProbability;
    private readonly double _brightness;
    private readonly double _contrast;
    private readonly double _saturation;
    private readonly double _erasingProbability;
    private readonly double _mixupAlpha;

    /// <summary>No augmentation.</summary>
    public static Augmentation None { get; } = new();

    /// <summary>For small images such as CIFAR's 32 x 32: crop with padding 4, horizontal flip.</summary>
    public static Augmentation Small { get; } = new() { CropPadding = 4, FlipProbability = 0.5 };

    /// <summary>For photographs of about 224 x 224: crop with padding 28, horizontal flip, color jitter, random erasing.</summary>
    public static Augmentation Photo { get; } = new()
    {
        CropPadding = 28,
        FlipProbability = 0.5,
        Brightness = 0.2,
        Contrast = 0.2,
        Saturation = 0.2,
        ErasingProbability = 0.25,
    };

    /// <summary>
    /// Pads each side with this many zero pixels, from 0 to 512, then crops the original size at a random position. Default: 0, no crop.
    /// </summary>
    public int CropPadding
    {
        get => _cropPadding;
        init => _cropPadding = value is >= 0 and <= MaxCropPadding
            ? value
            : throw OutOfRange(nameof(CropPadding), value, $"from 0 to {MaxCropPadding}");
    }

    /// <summary>
    /// The probability that an image is flipped horizontally, in [0, 1]. Keep the default of 0 if left and right matter, as they do for
    /// digits.
    /// </summary>
    public double FlipProbability
    {
        get => _flipProbability;
        init => _flipProbability = InUnitRange(nameof(FlipProbability), value);
    }

    /// <summary>Multiplies each image by a random factor in [1 - x, 1 + x]; x is in [0, 1]. Default: 0.</summary>
    public double Brightness
    {
        get => _brightness;
        init => _brightness = InUnitRange(nameof(Brightness), value);
    }

    /// <summary>
    /// Multiplies the difference between an image and its mean gray by a random factor in [1 - x, 1 + x]; x is in [0, 1]. Default: 0.
    /// </summary>
    public double Contrast
    {
        get => _contrast;
        init => _contrast = InUnitRange(nameof(Contrast), value);
    }

    /// <summary>
    /// Multiplies the difference between each pixel and its gray by a random factor in [1 - x, 1 + x]; x is in [0, 1]. Images with one
    /// channel do not change. Default: 0.
    /// </summary>
    public double Saturation
    {
        get => _saturation;
        init => _saturation = InUnitRange(nameof(Saturation), value);
    }

    /// <summary>
    /// The probability that a rectangle of 2 % to 33 % of the image is replaced with the image's mean color, in [0, 1]. Default: 0.
    /// </summary>
    public double ErasingProbability
    {
        get => _erasingProbability;
        init => _erasingProbability = InUnitRange(nameof(ErasingProbability), value);
    }

    /// <summary>
    /// Mixes each image with another image of its mini-batch, with a share drawn from Beta(x, x); their losses are mixed with the same
    /// share. x is from 0.001 to 1000, or 0 for no mixup. Default: 0.
    /// </summary>
    public double MixupAlpha
    {
        get => _mixupAlpha;
        init => _mixupAlpha = value is 0 or (>= 0.001 and <= 1000)
            ? value
            : throw OutOfRange(nameof(MixupAlpha), value, "0, or from 0.001 to 1000");
    }

    /// <summary>
    /// Changes float32 images [N, C, H, W] in pixel units; the result is channels_last. Mixup is separate, because it also changes the
    /// loss.
    /// </summary>
    /// <param name="images">The images.</param>
    /// <param name="generator">A CPU generator for all draws.</param>
    internal Tensor Apply(Tensor images, Generator generator)
    {
        using var scope = NewDisposeScope();
        var x = CropAndFlip(images, generator);
        x = JitterColors(x, generator);
        x = Erase(x, generator);
        return (ReferenceEquals(x, images) ? images.alias() : x).MoveToOuterDisposeScope();
    }

    /// <summary>Draws how a mini-batch is mixed; returns null if mixup is off.</summary>
    /// <param name="images">The mini-batch, [N, C, H, W].</param>
    /// <param name="generator">A CPU generator for all draws.</param>
    internal Mixup? DrawMixup(Tensor images, Generator generator) =>
        MixupAlpha > 0 ? Mixup.Draw(images.shape[0], MixupAlpha, images.device, generator) : null;

    private static double InUnitRange(string name, double value) =>
        value is >= 0 and <= 1 ? value : throw OutOfRange(name, value, "from 0 to 1");

    private static ArgumentOutOfRangeException OutOfRange(string name, object value, string range) =>
        new(name, value, $"{name} must be {range}.");

    private static Tensor Uniform(Tensor like, double low, double high, Generator generator) =>
        rand([like.shape[0], 1, 1, 1], ScalarType.Float32, generator: generator).to(like.device).Times(high - low).Plus(low);

    private static Tensor Gray(Tensor x) => x.shape[1] == 3
        ? x.narrow(1, 0, 1).Times(0.299).Plus(x.narrow(1, 1, 1).Times(0.587)).Plus(x.narrow(1, 2, 1).Times(0.114))
        : x.mean([1], keepdim: true);

    /// <summary>One gather for both: a flipped image is the padded image read backwards.</summary>
    private Tensor CropAndFlip(Tensor images, Generator generator)
    {
        if (CropPadding == 0 && FlipProbability == 0)
            return images;

        var (count, height, width, device) = (images.shape[0], images.shape[2], images.shape[3], images.device);
        var rows = arange(height, ScalarType.Int64, device).view(1, height, 1);
        var columns = arange(width, ScalarType.Int64, device).view(1, 1, width);
        if (FlipProbability > 0)
        {
            var isFlipped = rand([count, 1, 1], ScalarType.Float32, generator: generator).to(device).IsBelow(FlipProbability);
            columns = where(isFlipped, columns.neg().Plus(width - 1), columns);
        }
        var x = images.permute(0, 2, 3, 1);
        if (CropPadding > 0)
        {
            var places = 2 * CropPadding + 1;
            rows = rows.Plus(randint(places, [count, 1, 1], ScalarType.Int64, generator: generator).to(device));
            columns = columns.Plus(randint(places, [count, 1, 1], ScalarType.Int64, generator: generator).to(device));
            x = nn.functional.pad(x, [0, 0, CropPadding, CropPadding, CropPadding, CropPadding]);
        }
        var samples = arange(count, ScalarType.Int64, device).view(count, 1, 1);
        return x.index(samples, rows, columns).permute(0, 3, 1, 2);
    }

    private Tensor JitterColors(Tensor x, Generator generator)
    {
        if (Brightness > 0)
            x = x * Uniform(x, 1 - Brightness, 1 + Brightness, generator);
        if (Contrast > 0)
            x = lerp(Gray(x).mean([2, 3], keepdim: true), x, Uniform(x, 1 - Contrast, 1 + Contrast, generator));
        if (Saturation > 0 && x.shape[1] > 1)
            x = lerp(Gray(x), x, Uniform(x, 1 - Saturation, 1 + Saturation, generator));
        return x;
    }

    private Tensor Erase(Tensor x, Generator generator)
    {
        if (ErasingProbability == 0)
            return x;

        var (height, width) = (x.shape[2], x.shape[3]);
        var area = Uniform(x, MinErasedArea, MaxErasedArea, generator).Times(height * width);

        // The rectangle fits if its aspect ratio (height / width) lies between the one that makes it as wide as the image and the one that
        // makes it as high.
        var logAspect = Uniform(x, -Math.Log(MaxErasedAspect), Math.Log(MaxErasedAspect), generator);
        var aspect = minimum(maximum(logAspect.exp(), area.Over(width * width)), area.reciprocal().Times(height * height));
        var rectangleHeight = (area * aspect).sqrt().round().Within(1, height);
        var rectangleWidth = (area / aspect).sqrt().round().Within(1, width);

        var top = Uniform(x, 0, 1, generator).mul(rectangleHeight.neg().Plus(height + 1)).floor();
        var left = Uniform(x, 0, 1, generator).mul(rectangleWidth.neg().Plus(width + 1)).floor();
        var rows = arange(height, ScalarType.Float32, x.device).view(1, 1, height, 1) - top;
        var columns = arange(width, ScalarType.Float32, x.device).view(1, 1, 1, width) - left;
        var isErased = rows.IsAtLeast(0) & (rows < rectangleHeight) & columns.IsAtLeast(0) & (columns < rectangleWidth)
            & Uniform(x, 0, 1, generator).IsBelow(ErasingProbability);
        return where(isErased, x.mean([2, 3], keepdim: true), x);
    }
}
