using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Networks.Onnx;
using Microsoft.ML.Flooding.Runtime;
using TorchSharp;

namespace Microsoft.ML.Flooding;

/// <summary>Which network to train. Immutable; two architectures are equal when their names are.</summary>
/// <remarks>
/// The number of classes, the size of the images and their channels are no part of it: any architecture takes any of them.
/// </remarks>
public sealed class Architecture : IEquatable<Architecture>
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
    /// A multilayer perceptron: two hidden layers of 500, each with batch normalization and ReLU. See <see cref="WithHiddenSizes"/>.
    /// </summary>
    public static Architecture Mlp { get; } = new(Family.Mlp);

    /// <summary>
    /// Six 3x3 convolutions in three stages of 32, 64 and 128 channels, for images of 8 to some 64 pixels. See <see cref="WithBaseWidth"/>.
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

    /// <summary>What public weights of this architecture expect; null where there are none.</summary>
    internal Preprocessing? Preprocessing => Family.Preprocessing;

    /// <summary>What a model file has to hold beside the name; null for most.</summary>
    internal byte[]? Content => Family.Content;

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

    /// <summary>The same network with another number of channels in its first stage; the later stages follow in proportion.</summary>
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
    /// <param name="sizes">The units of each hidden layer, each from 1 to 65,536; none at all gives a linear classifier.</param>
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
    /// <exception cref="ArgumentException">The architecture has one stem only.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="stem"/> is not a defined value.</exception>
    public Architecture WithStem(Stem stem)
    {
        if (!Family.HasStem)
            throw new ArgumentException($"The architecture '{Family.Name}' has no stem to choose.", nameof(stem));
        if (!Enum.IsDefined(stem))
            throw new ArgumentOutOfRangeException(nameof(stem), stem, "Not a stem.");
        return new(this) { Stem = stem };
    }

    /// <summary>A network that a function of the application makes.</summary>
    /// <param name="name">
    /// What model files call it. A program that loads such a model has to call this method before, with the same name and a factory of
    /// the same network. The latest factory of a name counts.
    /// </param>
    /// <param name="factory">
    /// From the number of classes and of channels to a module that maps images [N, C, H, W] to logits [N, classes]. It is called more
    /// than once, and has to make the same layers each time. Initial values that it draws from the global generator follow from the
    /// seed of the training run.
    /// </param>
    /// <exception cref="ArgumentException"><paramref name="name"/> is null, empty or white space.</exception>
    /// <exception cref="ArgumentNullException"><paramref name="factory"/> is null.</exception>
    public static Architecture FromFactory(string name, Func<int, int, torch.nn.Module<torch.Tensor, torch.Tensor>> factory)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(factory);
        return new(CustomArchitectures.Register(name, factory));
    }

    /// <summary>
    /// A TorchScript module, as <c>torch.jit.save</c> writes it: training goes on from its weights, and model files hold a copy of it.
    /// </summary>
    /// <param name="path">The file. Run scripts only from sources you trust.</param>
    /// <param name="inputSize">The side of the square images it was made for, from 1 to 65,535.</param>
    /// <param name="mean">Of each channel, for values from 0 to 1: subtracted. Default: that of ImageNet.</param>
    /// <param name="deviation">Of each channel: divides. Above 0, as many as <paramref name="mean"/>. Default: that of ImageNet.</param>
    /// <remarks>The module maps images [N, C, H, W] to logits [N, classes], for the classes of the data it is trained on.</remarks>
    /// <exception cref="ArgumentException">
    /// <paramref name="mean"/> and <paramref name="deviation"/> do not go together, or a deviation is not above 0.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="inputSize"/> is outside its range.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="InvalidDataException">The file is not a TorchScript module.</exception>
    /// <exception cref="InvalidOperationException">
    /// libtorch cannot be loaded; the message names the package or the C++ runtime that is needed.
    /// </exception>
    public static Architecture FromTorchScript(string path, int inputSize, IReadOnlyList<float>? mean = null, IReadOnlyList<float>? deviation = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        if (inputSize is < 1 or > ImageShape.LongestSide)
            throw new ArgumentOutOfRangeException(nameof(inputSize), inputSize, $"The input size must be from 1 to {ImageShape.LongestSide}.");
        mean ??= Preprocessing.ImageNet.Mean;
        deviation ??= Preprocessing.ImageNet.Deviation;
        if (mean.Count == 0 || mean.Count != deviation.Count || !deviation.All(value => value > 0 && float.IsFinite(value)) || !mean.All(float.IsFinite))
            throw new ArgumentException("There has to be a finite mean and a finite deviation above 0 for each channel.", nameof(deviation));
        var script = File.ReadAllBytes(path);
        LibTorch.EnsureLoaded();
        try
        {
            torch.jit.load(script).Dispose();
        }
        catch (ExternalException e)
        {
            throw new InvalidDataException($"'{path}' is not a TorchScript module: {e.Message.Split('\n')[0]}", e);
        }
        return new(CustomArchitectures.OfScript(script, new Preprocessing(inputSize, inputSize, CenterCrop: 1, [.. mean], [.. deviation])));
    }

    /// <summary>
    /// The network of an ONNX file, with its weights: it trains like those that are built in, and model files hold all that they need of
    /// it.
    /// </summary>
    /// <param name="path">The file, of opset 7 to 21.</param>
    /// <param name="input">How it takes its images. Default: <see cref="OnnxInput.ImageNet"/>.</param>
    /// <remarks>
    /// <para>The file maps images to logits or probabilities [N, classes], or to features. Its last linear layer is replaced where your
    /// data has another number of classes; a network that ends in features gets one. A number of images that the file fixes is made
    /// free.</para>
    /// <para>Images are brought to the size that the file asks for, and prepared as <paramref name="input"/> says.</para>
    /// </remarks>
    /// <exception cref="ArgumentException">A setting of <paramref name="input"/> is outside of its range; the message names it.</exception>
    /// <exception cref="InvalidDataException">
    /// The file is damaged, or has an operator that is not read; the message names the node.
    /// </exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static Architecture FromOnnx(string path, OnnxInput? input = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        try
        {
            var (graph, preprocessing) = OnnxFile.Open(path, input ?? OnnxInput.ImageNet);
            return new(CustomArchitectures.OfGraph(graph, preprocessing));
        }
        catch (InvalidDataException e)
        {
            throw new InvalidDataException($"'{path}' cannot be read as a network. {e.Message}", e);
        }
    }

    /// <summary>
    /// The ResNet-18 of the package <c>Microsoft.ML.DnnImageFeaturizer.ResNet18</c>, trained on ImageNet, with its preparation of images of
    /// 224 x 224 pixels. An application that trains it references the package; one that loads the trained model does not need it.
    /// </summary>
    /// <exception cref="FileNotFoundException">
    /// The package's files are not in the application's folder; the message says what to do.
    /// </exception>
    public static Architecture FromDnnImageFeaturizerResNet18()
    {
        var (network, preparation) = DnnImageFeaturizer.ResNet18(AppContext.BaseDirectory);
        return FromOnnx(network, OnnxInput.Pixels with { PreprocessingGraph = preparation });
    }

    /// <summary>Reads a <see cref="Name"/> and what a model file holds beside it.</summary>
    /// <param name="name">The name.</param>
    /// <param name="content"><see cref="Content"/>, or null when the file holds none.</param>
    /// <exception cref="FormatException">No architecture has this name.</exception>
    /// <exception cref="InvalidDataException">The content is missing, or another one than the name says.</exception>
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
            throw new InvalidDataException($"The {kind} of the architecture '{name}' is another one.");
        return new(isGraph ? CustomArchitectures.OfGraph(content) : CustomArchitectures.OfScript(content, preprocessing: null));
    }

    /// <summary>Reads a <see cref="Name"/>.</summary>
    /// <exception cref="ArgumentNullException"><paramref name="name"/> is null.</exception>
    /// <exception cref="FormatException">No architecture has this name.</exception>
    public static Architecture Parse(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (name.StartsWith(CustomArchitectures.FactoryPrefix, StringComparison.Ordinal))
            return CustomArchitectures.FindFactory(name) is { } custom ? new(custom) : throw NotRegistered(name);
        if (name.StartsWith(CustomArchitectures.ScriptPrefix, StringComparison.Ordinal))
            throw new FormatException($"The architecture '{name}' is a TorchScript module, which its name alone does not give back.");
        if (name.StartsWith(CustomArchitectures.GraphPrefix, StringComparison.Ordinal))
            throw new FormatException($"The architecture '{name}' is an ONNX graph, which its name alone does not give back.");
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
                Scaling.BaseWidth when settings is [['w', 'i', 'd', 't', 'h', .. var width]] => architecture.WithBaseWidth(ParseInteger(width)),
                Scaling.Multiplier when settings is [var multiplier] =>
                    architecture.WithWidthMultiplier(double.Parse(multiplier, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture)),
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

    /// <summary>The architecture that images of this shape get: never <see cref="Auto"/>.</summary>
    internal Architecture Resolve(ImageShape shape) => Equals(Auto) ? IsSmall(shape) ? ConvNet : ResNet18 : this;

    /// <summary>
    /// A network of this architecture for images of a shape, on the CPU, in training mode, its convolutions channels last.
    /// </summary>
    /// <param name="shape">The images the network is for.</param>
    /// <param name="classes">The number of logits.</param>
    /// <param name="generator">Every random initial value is drawn from it, and from nothing else.</param>
    internal Network Create(ImageShape shape, int classes, torch.Generator generator)
    {
        var network = CreateEmpty(shape, classes);
        network.Initialize(generator);
        network.ToChannelsLast();
        return network;
    }

    /// <summary>
    /// A network for weights to be loaded into, its convolutions row-major as files have them; what it holds before is of no account.
    /// </summary>
    internal Network CreateEmpty(ImageShape shape, int classes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(classes, 1);
        var resolved = Resolve(shape);
        return resolved.Family.Create(resolved, shape, classes);
    }

    /// <summary>
    /// A number that the parameters of the network are not below, told from the sizes that its name gives and without making it: what a
    /// file must hold at the least to be believed.
    /// </summary>
    internal double LeastParameters(ImageShape shape, int classes)
    {
        double[] sizes = Family.Scaling == Scaling.HiddenSizes ? [shape.Length, .. HiddenSizes.Select(size => (double)size), classes] : [];
        var width = BaseWidth > 0 ? BaseWidth : Family.DefaultBaseWidth;
        return classes + (Family.LeastParameters?.Invoke(shape) ?? 0) + Family.Scaling switch
        {
            Scaling.HiddenSizes => sizes.Zip(sizes.Skip(1), (inputs, outputs) => inputs * outputs).Sum(),
            // ConvNet's 279 weights a squared width are the fewest.
            Scaling.BaseWidth => 250.0 * width * width,
            Scaling.Multiplier when WidthMultiplier > 1 => 50_000 * WidthMultiplier * WidthMultiplier,
            _ => 0,
        };
    }

    /// <summary>Whether images of a shape get the small stem.</summary>
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
        new($"The architecture '{name}' is made by a factory that this program has not named yet: " +
            $"call {nameof(Architecture)}.{nameof(FromFactory)}(\"{name[CustomArchitectures.FactoryPrefix.Length..]}\", ...) first.");

    private static FormatException NotAnArchitecture(string name, Exception? inner) =>
        new($"'{name}' is not an architecture. Known are {string.Join(", ", Family.All.Select(family => family.Name))}, " +
            "with a suffix such as -width32 (ResNet, convnet), -0.5 (MobileNet, EfficientNet), -100-50 or -linear (mlp), and then -small or -imagenet.", inner);

    private void Require(Scaling scaling, string what)
    {
        if (Family.Scaling != scaling)
            throw new ArgumentException($"The architecture '{Family.Name}' has no {what} to choose.");
    }
}
