using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Howard et al., "Searching for MobileNetV3", ICCV 2019, arXiv:1905.02244. Parameters as torchvision names them.</summary>
internal sealed class MobileNetV3 : Network
{
    private const double DropoutProbability = 0.2;
    private static readonly (double Epsilon, double Momentum) Norm = (1e-3, 1e-2);
    private readonly Stack _features;
    private readonly Linear _hidden;

    public MobileNetV3(MobileNetV3Configuration configuration, double multiplier, bool smallStem, int channels, int classes)
        : base(nameof(MobileNetV3))
    {
        var width = Channels.Scale(16, multiplier);
        var blocks = new List<Block> { Plain(channels, width, 3, smallStem ? 1 : 2) };
        foreach (var (kernel, unscaledExpanded, unscaledOutputs, excited, activation, stride) in configuration.Blocks)
        {
            var (expanded, outputs) = (Channels.Scale(unscaledExpanded, multiplier), Channels.Scale(unscaledOutputs, multiplier));
            var excitation = excited
                ? new SqueezeExcitation(expanded, Channels.Scale(expanded / 4), Activation.Relu, Activation.HardSigmoid)
                : null;
            blocks.Add(new InvertedResidual((width, expanded, outputs, kernel, stride), activation, excitation, Norm, dropped: 0));
            width = outputs;
        }
        blocks.Add(Plain(width, 6 * width, 1, 1));
        _features = this.Register("features", new Stack(blocks));
        var hidden = Channels.Scale(configuration.Hidden, multiplier);
        _hidden = Linear(6 * width, hidden);
        Head = Linear(hidden, classes);
        this.Register("classifier", new Naming(("0", _hidden), ("3", Head)));
    }

    public override Linear Head { get; }

    public override T Features<T>(IOperators<T> op, T x)
    {
        x = op.Flatten(1, op.GlobalAveragePool(_features.Apply(op, x)));
        return op.Dropout(DropoutProbability, op.Activate(Activation.HardSwish, op.Linear(_hidden, x)));
    }

    protected override void InitializeModule(Module module, Generator generator) => Initialization.MobileNet(module, generator);

    private static ConvNormActivation Plain(int inputs, int outputs, int kernel, int stride) =>
        new(inputs, outputs, kernel, Activation.HardSwish, stride, 1, Norm.Epsilon, Norm.Momentum);
}

/// <summary>Tables 1 and 2 of the paper.</summary>
/// <param name="Hidden">The units of the last hidden layer.</param>
/// <param name="Blocks">The kernel, expanded channels, channels, squeeze and excitation, activation and stride of each block.</param>
internal sealed record MobileNetV3Configuration(
    int Hidden, IReadOnlyList<(int Kernel, int Expanded, int Outputs, bool Excited, Activation Activation, int Stride)> Blocks)
{
    public static MobileNetV3Configuration Large { get; } = new(1280,
    [
        (3, 16, 16, false, Activation.Relu, 1),
        (3, 64, 24, false, Activation.Relu, 2),
        (3, 72, 24, false, Activation.Relu, 1),
        (5, 72, 40, true, Activation.Relu, 2),
        (5, 120, 40, true, Activation.Relu, 1),
        (5, 120, 40, true, Activation.Relu, 1),
        (3, 240, 80, false, Activation.HardSwish, 2),
        (3, 200, 80, false, Activation.HardSwish, 1),
        (3, 184, 80, false, Activation.HardSwish, 1),
        (3, 184, 80, false, Activation.HardSwish, 1),
        (3, 480, 112, true, Activation.HardSwish, 1),
        (3, 672, 112, true, Activation.HardSwish, 1),
        (5, 672, 160, true, Activation.HardSwish, 2),
        (5, 960, 160, true, Activation.HardSwish, 1),
        (5, 960, 160, true, Activation.HardSwish, 1),
    ]);

    public static MobileNetV3Configuration Small { get; } = new(1024,
    [
        (3, 16, 16, true, Activation.Relu, 2),
        (3, 72, 24, false, Activation.Relu, 2),
        (3, 88, 24, false, Activation.Relu, 1),
        (5, 96, 40, true, Activation.HardSwish, 2),
        (5, 240, 40, true, Activation.HardSwish, 1),
        (5, 240, 40, true, Activation.HardSwish, 1),
        (5, 120, 48, true, Activation.HardSwish, 1),
        (5, 144, 48, true, Activation.HardSwish, 1),
        (5, 288, 96, true, Activation.HardSwish, 2),
        (5, 576, 96, true, Activation.HardSwish, 1),
        (5, 576, 96, true, Activation.HardSwish, 1),
    ]);
}
