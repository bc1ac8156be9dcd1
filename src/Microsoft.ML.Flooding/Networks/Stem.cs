namespace Microsoft.ML.Flooding;

/// <summary>The first layers of a network.</summary>
/// <remarks>
/// The first layers of networks for ImageNet reduce the resolution so much that a small image ends as a feature map of a single pixel. The
/// small stem keeps more of the resolution.
/// </remarks>
public enum Stem
{
    /// <summary><see cref="Small"/> for images of at most 64 pixels on the longer side, <see cref="ImageNet"/> for larger ones.</summary>
    Automatic,

    /// <summary>
    /// ResNet: a 3x3 convolution of stride 1 and no pooling. MobileNet and EfficientNet: stride 1 in the first convolution.
    /// ConvNeXt: patches of 2x2. ViT: patches of 4x4 for images of at most 32 pixels on the longer side, of 8x8 for larger ones.
    /// </summary>
    Small,

    /// <summary>The stem of the paper and of pretrained weights.</summary>
    ImageNet,
}
