using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>The networks that share one name and differ in their size.</summary>
internal sealed record Family(string Name, Func<Architecture, ImageShape, int, Network> Create)
{
    public Scaling Scaling { get; init; }

    public int DefaultBaseWidth { get; init; }

    public bool HasStem { get; init; }

    public static Family Auto { get; } = new("auto", (architecture, shape, classes) =>
        throw new InvalidOperationException("'auto' has to be resolved to an architecture first."));

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

    public static IReadOnlyList<Family> All { get; } =
        [Auto, Mlp, ConvNet, ResNet18, ResNet34, ResNet50, ResNet101];

    public static Family? Find(string name) => All.FirstOrDefault(family => family.Name == name);

    private static Family ResNet(string name, ResNetConfiguration configuration) => new(name, (architecture, shape, classes) =>
        new ResNet(configuration, WidthOf(architecture), architecture.HasSmallStem(shape), shape.Channels, classes))
    { Scaling = Scaling.BaseWidth, DefaultBaseWidth = 64, HasStem = true };

    private static int WidthOf(Architecture architecture) =>
        architecture.BaseWidth > 0 ? architecture.BaseWidth : architecture.Family.DefaultBaseWidth;
}

/// <summary>What makes a network of a family larger or smaller.</summary>
internal enum Scaling
{
    None,
    BaseWidth,
    Multiplier,
    HiddenSizes,
}
