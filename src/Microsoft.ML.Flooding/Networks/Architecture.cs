using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Runtime;
using TorchSharp;

namespace Microsoft.ML.Flooding;

/// <summary>The network to train. Immutable; two architectures are equal if their names are equal.</summary>
/// <remarks>
/// An architecture does not include the number of classes or the size and channels of the images; it can be used with any of them.
/// </remarks>
public sealed partial class Architecture : IEquatable<Architecture>
{
    private const int LongestSmallSide = 64;
    private const int MaxBaseWidth = 1024;
    private const int MaxHiddenSize = 1 << 16;

    private Architecture(Family family) => Family = family;

    private Architecture(Architecture other)
    {
        Family = other.Family;
        BaseWidth = other.BaseWidth;
        WidthMultiplier = other.WidthMultiplier;
        HiddenSizes = other.HiddenSizes;
        Stem = other.Stem;
    }

    /// <summary>
    /// The name stored in model files, such as "resnet18", "resnet18-width8-small", "mobilenet_v2-0.25", "mlp-100-50" or "mlp-linear".
    /// <see cref="Parse"/> reads it.
    /// </summary>
    public string Name => Family.Name + ScalingSuffix + Stem switch { Stem.Small => "-small", Stem.ImageNet => "-imagenet", _ => "" };

    /// <summary>
    /// <see cref="ConvNet"/> for images of at most 64 pixels on their longer side, <see cref="ResNet18"/> for larger ones.
    /// </summary>
    public static Architecture Auto { get; } = new(Family.Auto);

    /// <summary>
    /// A multilayer perceptron with two hidden layers of 500 units, each with batch normalization and ReLU. See
    /// <see cref="WithHiddenSizes"/>.
    /// </summary>
    public static Architecture Mlp { get; } = new(Family.Mlp);

    /// <summary>
    /// Six 3x3 convolutions in three stages of 32, 64 and 128 channels, for images of 8 to about 64 pixels. See
    /// <see cref="WithBaseWidth"/>.
    /// </summary>
    public static Architecture ConvNet { get; } = new(Family.ConvNet);

    /// <summary>ResNet-18 (He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385).</summary>
    public static Architecture ResNet18 { get; } = new(Family.ResNet18);

    /// <summary>ResNet-34 (He et al., CVPR 2016, arXiv:1512.03385).</summary>
    public static Architecture ResNet34 { get; } = new(Family.ResNet34);

    /// <summary>ResNet-50 (He et al., CVPR 2016, arXiv:1512.03385), with the stride in the 3x3 convolution as torchvision has it.</summary>
    public static Architecture ResNet50 { get; } = new(Family.ResNet50);

    /// <summary>
    /// ResNet-101 (He et al., CVPR 2016, arXiv:1512.03385), with the stride in the 3x3 convolution as torchvision has it.
    /// </summary>
    public static Architecture ResNet101 { get; } = new(Family.ResNet101);

    /// <summary>MobileNetV2 (Sandler et al., CVPR 2018, arXiv:1801.04381).</summary>
    public static Architecture MobileNetV2 { get; } = new(Family.MobileNetV2);

    /// <summary>The small MobileNetV3 (Howard et al., ICCV 2019, arXiv:1905.02244).</summary>
    public static Architecture MobileNetV3Small { get; } = new(Family.MobileNetV3Small);

    /// <summary>The large MobileNetV3 (Howard et al., ICCV 2019, arXiv:1905.02244).</summary>
    public static Architecture MobileNetV3Large { get; } = new(Family.MobileNetV3Large);

    /// <summary>EfficientNet-B0 (Tan and Le, ICML 2019, arXiv:1905.11946).</summary>
    public static Architecture EfficientNetB0 { get; } = new(Family.EfficientNetB0);

    /// <summary>ConvNeXt-T (Liu et al., CVPR 2022, arXiv:2201.03545), for images of at least 16 pixels.</summary>
    public static Architecture ConvNeXtTiny { get; } = new(Family.ConvNeXtTiny);

    /// <summary>
    /// ViT-Ti, a vision transformer (Dosovitskiy et al., ICLR 2021, arXiv:2010.11929; Touvron et al., ICML 2021, arXiv:2012.12877).
    /// </summary>
    public static Architecture ViTTiny { get; } = new(Family.ViTTiny);

    /// <summary>
    /// ViT-S, a vision transformer (Dosovitskiy et al., ICLR 2021, arXiv:2010.11929; Touvron et al., ICML 2021, arXiv:2012.12877).
    /// </summary>
    public static Architecture ViTSmall { get; } = new(Family.ViTSmall);

    /// <summary>Every named architecture at its default size.</summary>
    internal static IEnumerable<Architecture> All => Family.All.Select(family => new Architecture(family));

    internal Family Family { get; }

    /// <summary>The preprocessing of this architecture's public weights; null if there are none.</summary>
    internal Preprocessing? Preprocessing => Family.Preprocessing;

    /// <summary>The content that a model file needs in addition to the name; null for most architectures.</summary>
    internal byte[]? Content => Family.Content;

    /// <summary>Whether the layers of the network are known: it was neither made by a factory nor loaded from TorchScript.</summary>
    internal bool HasKnownLayers =>
        !Name.StartsWith(CustomArchitectures.FactoryPrefix, StringComparison.Ordinal)
        && !Name.StartsWith(CustomArchitectures.ScriptPrefix, StringComparison.Ordinal);

    internal int BaseWidth { get; private init; }

    internal double WidthMultiplier { get; private init; } = 1;

    internal ImmutableArray<int> HiddenSizes { get; private init; } = [500, 500];

    internal Stem Stem { get; private init; }

    private string ScalingSuffix => Family.Scaling switch
    {
        Scaling.BaseWidth when BaseWidth > 0 => string.Create(CultureInfo.InvariantCulture, $"-width{BaseWidth}"),
        Scaling.Multiplier when WidthMultiplier != 1 => string.Create(CultureInfo.InvariantCulture, $"-{WidthMultiplier}"),
        Scaling.HiddenSizes when HiddenSizes.IsEmpty => "-linear",
        Scaling.HiddenSizes when !HiddenSizes.SequenceEqual([500, 500]) =>
            string.Concat(HiddenSizes.Select(size => string.Create(CultureInfo.InvariantCulture, $"-{size}"))),
        _ => "",
    };

    /// <summary>The same network with another number of channels in its first stage. Later stages are scaled in proportion.</summary>
    /// <param name="channels">From 1 to 1,024. The default is 64 for a ResNet and 32 for <see cref="ConvNet"/>.</param>
    /// <exception cref="ArgumentException">The architecture is neither a ResNet nor <see cref="ConvNet"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="channels"/> is outside its range.</exception>
    public Architecture WithBaseWidth(int channels)
    {
        Require(Scaling.BaseWidth, "base width");
        if (channels is < 1 or > MaxBaseWidth)
            throw new ArgumentOutOfRangeException(nameof(channels), channels, $"The base width must be from 1 to {MaxBaseWidth}.");
        return new(this) { BaseWidth = channels == Family.DefaultBaseWidth ? 0 : channels };
    }

    /// <summary>The same network with the channels of every layer multiplied, rounded to multiples of 8.</summary>
    /// <param name="multiplier">From 0.01 to 10. The default is 1.</param>
    /// <exception cref="ArgumentException">The architecture is neither a MobileNet nor an EfficientNet.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="multiplier"/> is outside its range.</exception>
    public Architecture WithWidthMultiplier(double multiplier)
    {
        Require(Scaling.Multiplier, "width multiplier");
        if (multiplier is not (>= 0.01 and <= 10))
            throw new ArgumentOutOfRangeException(nameof(multiplier), multiplier, "The width multiplier must be from 0.01 to 10.");
        return new(this) { WidthMultiplier = multiplier };
    }

    /// <summary>The same perceptron with other hidden layers.</summary>
    /// <param name="sizes">
    /// The units of each hidden layer, from 1 to 65,536. Without hidden layers, the network is a linear classifier.
    /// </param>
    /// <exception cref="ArgumentException">The architecture is not <see cref="Mlp"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is outside its range.</exception>
    public Architecture WithHiddenSizes(params int[] sizes)
    {
        Require(Scaling.HiddenSizes, "hidden layers");
        ArgumentNullException.ThrowIfNull(sizes);
        foreach (var size in sizes)
        {
            if (size is < 1 or > MaxHiddenSize)
                throw new ArgumentOutOfRangeException(nameof(sizes), size, $"A hidden layer must have from 1 to {MaxHiddenSize} units.");
        }
        return new(this) { HiddenSizes = [.. sizes] };
    }

    /// <summary>The same network with a given stem.</summary>
    /// <param name="stem">The default is <see cref="Stem.Automatic"/>.</param>
    /// <exception cref="ArgumentException">The architecture has only one stem.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="stem"/> is not a defined value.</exception>
    public Architecture WithStem(Stem stem)
    {
        if (!Family.HasStem)
            throw new ArgumentException($"The stem of the architecture '{Family.Name}' cannot be changed.", nameof(stem));
        if (!Enum.IsDefined(stem))
            throw new ArgumentOutOfRangeException(nameof(stem), stem, "It is not a defined stem.");
        return new(this) { Stem = stem };
    }

    /// <summary>The architecture with a <see cref="Name"/> and <see cref="Content"/> from a model file.</summary>
    /// <param name="name">The name.</param>
    /// <param name="content">The content, or null if the file has none.</param>
    /// <exception cref="FormatException">No architecture has this name.</exception>
    /// <exception cref="InvalidDataException">The content is missing or does not match the name.</exception>
    internal static Architecture Load(string name, byte[]? content)
    {
        ArgumentNullException.ThrowIfNull(name);
        var isGraph = name.StartsWith(CustomArchitectures.GraphPrefix, StringComparison.Ordinal);
        if (!isGraph && !name.StartsWith(CustomArchitectures.ScriptPrefix, StringComparison.Ordinal))
            return Parse(name);
        var kind = isGraph ? "graph" : "script";
        if (content is null)
            throw new InvalidDataException($"The {kind} of the architecture '{name}' is missing.");
        if (CustomArchitectures.NameOf(isGraph ? CustomArchitectures.GraphPrefix : CustomArchitectures.ScriptPrefix, content) != name)
            throw new InvalidDataException($"The {kind} of the architecture '{name}' does not match the name.");
        return new(isGraph ? CustomArchitectures.OfGraph(content) : CustomArchitectures.OfScript(content, preprocessing: null));
    }

    /// <summary>The architecture with a <see cref="Name"/>.</summary>
    /// <exception cref="ArgumentNullException"><paramref name="name"/> is null.</exception>
    /// <exception cref="FormatException">No architecture has this name.</exception>
    public static Architecture Parse(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (name.StartsWith(CustomArchitectures.FactoryPrefix, StringComparison.Ordinal))
            return CustomArchitectures.FindFactory(name) is { } custom ? new(custom) : throw NotRegistered(name);
        if (name.StartsWith(CustomArchitectures.ScriptPrefix, StringComparison.Ordinal))
            throw new FormatException($"The architecture '{name}' is a TorchScript module, which cannot be restored from its name.");
        if (name.StartsWith(CustomArchitectures.GraphPrefix, StringComparison.Ordinal))
            throw new FormatException($"The architecture '{name}' is an ONNX graph, which cannot be restored from its name.");
        var parts = name.Split('-');
        if (Family.Find(parts[0]) is not { } family)
            throw NotAnArchitecture(name, null);
        try
        {
            var architecture = new Architecture(family);
            var settings = parts.AsSpan(1);
            if (settings is [.. var before, "small" or "imagenet"])
            {
                architecture = architecture.WithStem(settings[^1] == "small" ? Stem.Small : Stem.ImageNet);
                settings = before;
            }
            return family.Scaling switch
            {
                _ when settings.IsEmpty => architecture,
                Scaling.BaseWidth when settings is [['w', 'i', 'd', 't', 'h', .. var width]] =>
                    architecture.WithBaseWidth(ParseInteger(width)),
                Scaling.Multiplier when settings is [var multiplier] =>
                    architecture.WithWidthMultiplier(
                        double.Parse(multiplier, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture)),
                Scaling.HiddenSizes when settings is ["linear"] => architecture.WithHiddenSizes(),
                Scaling.HiddenSizes => architecture.WithHiddenSizes(settings.ToArray().Select(ParseInteger).ToArray()),
                _ => throw NotAnArchitecture(name, null),
            };
        }
        catch (Exception e) when (e is ArgumentException or OverflowException || (e is FormatException && e.InnerException is null))
        {
            throw NotAnArchitecture(name, e);
        }
    }

    /// <summary>The architecture for images of a shape; never <see cref="Auto"/>.</summary>
    internal Architecture Resolve(ImageShape shape) => Equals(Auto) ? IsSmall(shape) ? ConvNet : ResNet18 : this;

    /// <summary>Creates a network of this architecture on the CPU, in training mode, with channels-last convolutions.</summary>
    /// <param name="shape">The shape of the images.</param>
    /// <param name="classes">The number of logits.</param>
    /// <param name="generator">All random initial values are drawn from this generator.</param>
    internal Network Create(ImageShape shape, int classes, torch.Generator generator)
    {
        var network = CreateEmpty(shape, classes);
        network.Initialize(generator);
        network.ToChannelsLast();
        return network;
    }

    /// <summary>
    /// Creates a network to load weights into. Its convolutions are row-major, as in files; its initial values are undefined.
    /// </summary>
    internal Network CreateEmpty(ImageShape shape, int classes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(classes, 1);
        // TorchSharp's modules take the defaults of the process.
        TorchSettings.RequireDefaults();
        var resolved = Resolve(shape);
        return resolved.Family.Create(resolved, shape, classes);
    }

    /// <summary>
    /// A lower bound on the number of parameters of the network, computed from the sizes in its name without creating it. A model file with
    /// fewer values is damaged.
    /// </summary>
    internal double LeastParameters(ImageShape shape, int classes)
    {
        double[] sizes = Family.Scaling == Scaling.HiddenSizes ? [shape.Length, .. HiddenSizes.Select(size => (double)size), classes] : [];
        var width = BaseWidth > 0 ? BaseWidth : Family.DefaultBaseWidth;
        return classes + (Family.LeastParameters?.Invoke(shape) ?? 0) + Family.Scaling switch
        {
            Scaling.HiddenSizes => sizes.Zip(sizes.Skip(1), (inputs, outputs) => inputs * outputs).Sum(),
            // The smallest network, ConvNet, has 279 weights times the squared width.
            Scaling.BaseWidth => 250.0 * width * width,
            Scaling.Multiplier when WidthMultiplier > 1 => 50_000 * WidthMultiplier * WidthMultiplier,
            _ => 0,
        };
    }

    /// <summary>Whether the network has the small stem for images of a shape.</summary>
    internal bool HasSmallStem(ImageShape shape) => Stem == Stem.Small || (Stem == Stem.Automatic && IsSmall(shape));

    /// <inheritdoc/>
    public bool Equals([NotNullWhen(true)] Architecture? other) => other is not null && Name == other.Name;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as Architecture);

    /// <inheritdoc/>
    public override int GetHashCode() => Name.GetHashCode(StringComparison.Ordinal);

    /// <inheritdoc/>
    public override string ToString() => Name;

    private static bool IsSmall(ImageShape shape) => Math.Max(shape.Height, shape.Width) <= LongestSmallSide;

    private static int ParseInteger(string digits) => int.Parse(digits, NumberStyles.None, CultureInfo.InvariantCulture);

    private static FormatException NotRegistered(string name) =>
        new($"The factory of the architecture '{name}' is not registered. "
            + $"Call {nameof(Architecture)}.{nameof(FromFactory)}(\"{name[CustomArchitectures.FactoryPrefix.Length..]}\", ...) first.");

    private static FormatException NotAnArchitecture(string name, Exception? inner) =>
        new($"'{name}' is not an architecture. Use one of {string.Join(", ", Family.All.Select(family => family.Name))}, optionally with a "
            + "suffix such as -width32 (ResNet, convnet), -0.5 (MobileNet, EfficientNet), -100-50 or -linear (mlp), followed by -small or "
            + "-imagenet.", inner);

    private void Require(Scaling scaling, string what)
    {
        if (Family.Scaling != scaling)
            throw new ArgumentException($"The {what} of the architecture '{Family.Name}' cannot be changed.");
    }
}
