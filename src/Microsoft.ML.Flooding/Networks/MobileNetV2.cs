using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>
/// Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018, arXiv:1801.04381. Parameters as torchvision names
/// them.
/// </summary>
internal sealed class MobileNetV2 : Network
{
    private const double DropoutProbability = 0.2;
    private readonly Stack _features;

    public MobileNetV2(double multiplier, bool smallStem, int channels, int classes) : base(nameof(MobileNetV2))
    {
        var width = Channels.Scale(32, multiplier);
        var blocks = new List<Block> { new ConvNormActivation(channels, width, 3, Activation.Relu6, smallStem ? 1 : 2) };
        foreach (var (expansion, unscaled, count, stride) in MobileNetV2Configuration.Stages)
        {
            var outputs = Channels.Scale(unscaled, multiplier);
            for (var i = 0; i < count; i++)
            {
                blocks.Add(new Residual(width, width * expansion, outputs, i == 0 ? stride : 1));
                width = outputs;
            }
        }
        var last = Channels.Scale(1280, Math.Max(1, multiplier));
        blocks.Add(new ConvNormActivation(width, last, 1, Activation.Relu6));
        _features = this.Register("features", new Stack(blocks));
        Head = Linear(last, classes);
        this.Register("classifier", new Naming(("1", Head)));
    }

    public override Linear Head { get; }

    public override T Features<T>(IOperators<T> op, T x) =>
        op.Dropout(DropoutProbability, op.Flatten(1, op.GlobalAveragePool(_features.Apply(op, x))));

    protected override void InitializeModule(Module module, Generator generator) => Initialization.MobileNet(module, generator);

    private sealed class Residual : Block
    {
        private readonly ConvNormActivation? _expand;
        private readonly ConvNormActivation _filter;
        private readonly Conv2d _project;
        private readonly BatchNorm2d _norm;
        private readonly bool _shortcut;

        public Residual(int inputs, int expanded, int outputs, int stride) : base(nameof(Residual))
        {
            _expand = expanded == inputs ? null : new ConvNormActivation(inputs, expanded, 1, Activation.Relu6);
            _filter = new ConvNormActivation(expanded, expanded, 3, Activation.Relu6, stride, groups: expanded);
            _project = Conv2d(expanded, outputs, 1, bias: false);
            _norm = BatchNorm2d(outputs);
            _shortcut = stride == 1 && inputs == outputs;
            this.Register("conv", _expand is null
                ? new Naming(("0", _filter), ("1", _project), ("2", _norm))
                : new Naming(("0", _expand), ("1", _filter), ("2", _project), ("3", _norm)));
        }

        public override T Apply<T>(IOperators<T> op, T x)
        {
            var y = _expand is null ? x : _expand.Apply(op, x);
            y = op.ConvBatchNorm(_project, _norm, _filter.Apply(op, y));
            return _shortcut ? op.Add(y, x) : y;
        }
    }
}

/// <summary>The expansion, channels, blocks and first stride of each stage: table 2 of the paper.</summary>
internal static class MobileNetV2Configuration
{
    public static IReadOnlyList<(int Expansion, int Channels, int Blocks, int Stride)> Stages { get; } =
    [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ];
}
