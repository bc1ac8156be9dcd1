using System.Collections.Immutable;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>How the images were prepared that the public weights of an architecture were trained on.</summary>
/// <param name="Resize">The length that the shorter side is scaled to.</param>
/// <param name="Crop">The side of the square cut from the middle.</param>
/// <param name="Mean">Of each channel, red first, for values from 0 to 1: it is subtracted.</param>
/// <param name="Deviation">Of each channel: it divides.</param>
internal sealed record Preprocessing(int Resize, int Crop, ImmutableArray<float> Mean, ImmutableArray<float> Deviation)
{
    /// <summary>The share of the shorter side that is kept.</summary>
    public double CenterCrop => (double)Crop / Resize;

    /// <summary>torchvision's, by the statistics of ImageNet.</summary>
    public static Preprocessing ImageNet { get; } = new(256, 224, [0.485f, 0.456f, 0.406f], [0.229f, 0.224f, 0.225f]);

    /// <summary>timm's for vision transformers.</summary>
    public static Preprocessing VisionTransformer { get; } = new(248, 224, [0.5f, 0.5f, 0.5f], [0.5f, 0.5f, 0.5f]);
}
