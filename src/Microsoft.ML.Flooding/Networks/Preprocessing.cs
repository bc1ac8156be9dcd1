using System.Collections.Immutable;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>How the images were prepared that the public weights of an architecture were trained on.</summary>
/// <param name="Height">Of the images.</param>
/// <param name="Width">Of the images.</param>
/// <param name="CenterCrop">The share of the shorter side that is cut from the middle; null where images are stretched as a whole.</param>
/// <param name="Mean">Of each channel, red first, for values from 0 to 1: it is subtracted.</param>
/// <param name="Deviation">Of each channel: it divides.</param>
internal sealed record Preprocessing(int Height, int Width, double? CenterCrop, ImmutableArray<float> Mean, ImmutableArray<float> Deviation)
{
    /// <summary>torchvision's, by the statistics of ImageNet: the shorter side is scaled to 256.</summary>
    public static Preprocessing ImageNet { get; } = new(224, 224, 224.0 / 256, [0.485f, 0.456f, 0.406f], [0.229f, 0.224f, 0.225f]);

    /// <summary>timm's for vision transformers: the shorter side is scaled to 248.</summary>
    public static Preprocessing VisionTransformer { get; } = new(224, 224, 224.0 / 248, [0.5f, 0.5f, 0.5f], [0.5f, 0.5f, 0.5f]);
}
