namespace Microsoft.ML.Flooding;

/// <summary>How a network takes in an image.</summary>
/// <remarks>
/// Networks made for ImageNet throw most of the resolution away in their first layers, which leaves a small image with a
/// feature map of a single pixel. Their small stem keeps it.
/// </remarks>
public enum Stem
{
    /// <summary><see cref="Small"/> for images of at most 64 pixels on their longer side, <see cref="ImageNet"/> for larger ones.</summary>
    Automatic,

    /// <summary>
    /// ResNet: a 3x3 convolution of stride 1 and no pooling. MobileNet and EfficientNet: stride 1 in the first convolution.
    /// ConvNeXt: patches of 2x2. ViT: patches of 4x4 up to 32 pixels on the longer side, of 8x8 above.
    /// </summary>
    Small,

    /// <summary>The stem of the publication, and of pretrained weights.</summary>
    ImageNet,
}
