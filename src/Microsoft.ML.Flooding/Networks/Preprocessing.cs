using System.Collections.Immutable;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>How images were prepared for the training of an architecture's public weights.</summary>
/// <param name="Height">The height of the images.</param>
/// <param name="Width">The width of the images.</param>
/// <param name="CenterCrop">The share of the shorter side that is cut from the center; null if images are stretched as a whole.</param>
/// <param name="Mean">The mean of each channel, red first, which is subtracted from values from 0 to 1.</param>
/// <param name="Deviation">The standard deviation of each channel, which the difference is divided by.</param>
internal sealed record Preprocessing(int Height, int Width, double? CenterCrop, ImmutableArray<float> Mean, ImmutableArray<float> Deviation)
{
    /// <summary>torchvision's preprocessing with the statistics of ImageNet. The shorter side is scaled to 256.</summary>
    public static Preprocessing ImageNet { get; } = new(224, 224, 224.0 / 256, [0.485f, 0.456f, 0.406f], [0.229f, 0.224f, 0.225f]);

    /// <summary>timm's preprocessing for vision transformers. The shorter side is scaled to 248.</summary>
    public static Preprocessing VisionTransformer { get; } = new(224, 224, 224.0 / 248, [0.5f, 0.5f, 0.5f], [0.5f, 0.5f, 0.5f]);
}
