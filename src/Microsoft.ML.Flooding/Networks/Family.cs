using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Networks that share a name and differ in their size.</summary>
internal sealed record Family(string Name, Func<Architecture, ImageShape, int, Network> Create)
{
    public Scaling Scaling { get; init; }

    public int DefaultBaseWidth { get; init; }

    public bool HasStem { get; init; }

    /// <summary>The preprocessing of public weights; null if there are none.</summary>
    public Preprocessing? Preprocessing { get; init; }

    /// <summary>The content that a model file needs in addition to the name; null for most families.</summary>
    public byte[]? Content { get; init; }

    /// <summary>
    /// A lower bound on the number of parameters, computed without creating the network; null if the name contains the sizes.
    /// </summary>
    public Func<ImageShape, double>? LeastParameters { get; init; }

    /// <summary>
    /// The first convolution, in torchvision's and timm's names, and the side of its kernel in public weights; null if it does not identify
    /// the stem.
    /// </summary>
    public (string[] Names, int ImageNetKernel)? StemWeight { get; init; }

    public static Family Auto { get; } = new("auto", (architecture, shape, classes) =>
        throw new InvalidOperationException("Resolve 'auto' to an architecture first."));

    public static Family Mlp { get; } = new("mlp", (architecture, shape, classes) =>
        new Mlp(shape, architecture.HiddenSizes, classes))
    { Scaling = Scaling.HiddenSizes };

    public static Family ConvNet { get; } = new("convnet", (architecture, shape, classes) =>
        new ConvNet(shape, WidthOf(architecture), classes))
    { Scaling = Scaling.BaseWidth, DefaultBaseWidth = 32 };

    public static Family ResNet18 { get; } = ResNet("resnet18", ResNetConfiguration.ResNet18);

    public static Family ResNet34 { get; } = ResNet("resnet34", ResNetConfiguration.ResNet34);

    public static Family ResNet50 { get; } = ResNet("resnet50", ResNetConfiguration.ResNet50);

    public static Family ResNet101 { get; } = ResNet("resnet101", ResNetConfiguration.ResNet101);

    public static Family MobileNetV2 { get; } = new("mobilenet_v2", (architecture, shape, classes) =>
        new MobileNetV2(architecture.WidthMultiplier, architecture.HasSmallStem(shape), shape.Channels, classes))
    { Scaling = Scaling.Multiplier, HasStem = true, Preprocessing = Preprocessing.ImageNet };

    public static Family MobileNetV3Small { get; } = MobileNetV3("mobilenet_v3_small", MobileNetV3Configuration.Small);

    public static Family MobileNetV3Large { get; } = MobileNetV3("mobilenet_v3_large", MobileNetV3Configuration.Large);

    public static Family EfficientNetB0 { get; } = new("efficientnet_b0", (architecture, shape, classes) =>
        new EfficientNet(architecture.WidthMultiplier, architecture.HasSmallStem(shape), shape.Channels, classes))
    { Scaling = Scaling.Multiplier, HasStem = true, Preprocessing = Preprocessing.ImageNet };

    public static Family ConvNeXtTiny { get; } = new("convnext_tiny", (architecture, shape, classes) =>
        new ConvNeXt(ConvNeXtConfiguration.Tiny, architecture.HasSmallStem(shape), shape, classes))
    {
        HasStem = true,
        StemWeight = (["features.0.0.weight", "stem.0.weight"], 4),
        Preprocessing = Preprocessing.ImageNet with { CenterCrop = 224.0 / 236 },
    };

    public static Family ViTTiny { get; } = VisionTransformer("vit_tiny", VisionTransformerConfiguration.Tiny);

    public static Family ViTSmall { get; } = VisionTransformer("vit_small", VisionTransformerConfiguration.Small);

    public static IReadOnlyList<Family> All { get; } =
    [
        Auto, Mlp, ConvNet, ResNet18, ResNet34, ResNet50, ResNet101, MobileNetV2, MobileNetV3Small, MobileNetV3Large, EfficientNetB0,
        ConvNeXtTiny, ViTTiny, ViTSmall,
    ];

    public static Family? Find(string name) => All.FirstOrDefault(family => family.Name == name);

    private static Family ResNet(string name, ResNetConfiguration configuration) => new(name, (architecture, shape, classes) =>
        new ResNet(configuration, WidthOf(architecture), architecture.HasSmallStem(shape), shape.Channels, classes))
    {
        Scaling = Scaling.BaseWidth,
        DefaultBaseWidth = 64,
        HasStem = true,
        StemWeight = (["conv1.weight"], 7),
        Preprocessing = Preprocessing.ImageNet,
    };

    private static Family MobileNetV3(string name, MobileNetV3Configuration configuration) => new(name, (architecture, shape, classes) =>
        new MobileNetV3(configuration, architecture.WidthMultiplier, architecture.HasSmallStem(shape), shape.Channels, classes))
    { Scaling = Scaling.Multiplier, HasStem = true, Preprocessing = Preprocessing.ImageNet };

    private static Family VisionTransformer(string name, VisionTransformerConfiguration configuration) => new(
        name, (architecture, shape, classes) =>
        new VisionTransformer(configuration, Networks.VisionTransformer.PatchOf(architecture.HasSmallStem(shape), shape), shape, classes))
    { HasStem = true, StemWeight = (["patch_embed.proj.weight"], 16), Preprocessing = Preprocessing.VisionTransformer };

    private static int WidthOf(Architecture architecture) =>
        architecture.BaseWidth > 0 ? architecture.BaseWidth : architecture.Family.DefaultBaseWidth;
}

/// <summary>The setting that makes a network of a family larger or smaller.</summary>
internal enum Scaling
{
    None,
    BaseWidth,
    Multiplier,
    HiddenSizes,
}
