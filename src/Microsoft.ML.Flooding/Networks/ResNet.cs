using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>
/// He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385. Parameters as torchvision names them.
/// </summary>
internal sealed class ResNet : Network
{
    private readonly Conv2d _conv1;
    private readonly BatchNorm2d _bn1;
    private readonly bool _pool;
    private readonly Stack[] _layers = new Stack[4];

    public ResNet(ResNetConfiguration configuration, int width, bool smallStem, int channels, int classes) : base(nameof(ResNet))
    {
        _conv1 = this.Register("conv1", smallStem
            ? Conv2d(channels, width, 3, padding: 1, bias: false)
            : Conv2d(channels, width, 7, stride: 2, padding: 3, bias: false));
        _bn1 = this.Register("bn1", BatchNorm2d(width));
        _pool = !smallStem;
        var inputs = width;
        for (var stage = 0; stage < 4; stage++)
        {
            var (inner, first) = (width << stage, stage > 0 ? 2 : 1);
            var outputs = inner * configuration.Expansion;
            _layers[stage] = this.Register($"layer{stage + 1}", new Stack(Enumerable.Range(0, configuration.Blocks[stage])
                .Select(i => configuration.Bottleneck
                    ? (Block)new Bottleneck(i == 0 ? inputs : outputs, inner, outputs, i == 0 ? first : 1)
                    : new BasicBlock(i == 0 ? inputs : outputs, outputs, i == 0 ? first : 1))));
            inputs = outputs;
        }
        Head = this.Register("fc", Linear(inputs, classes));
    }

    public override Linear Head { get; }

    public override T Features<T>(IOperators<T> op, T x)
    {
        x = op.Activate(Activation.Relu, op.ConvBatchNorm(_conv1, _bn1, x));
        if (_pool)
            x = op.Pool(Pooling.Max(3, 2, 1), x);
        foreach (var layer in _layers)
            x = layer.Apply(op, x);
        return op.Flatten(1, op.GlobalAveragePool(x));
    }

    protected override void InitializeModule(Module module, Generator generator)
    {
        if (module is Conv2d conv)
            Initialization.KaimingNormalFanOut(conv.weight, generator);
        else
            base.InitializeModule(module, generator);
    }

    private sealed class BasicBlock : Block
    {
        private readonly Conv2d _conv1;
        private readonly BatchNorm2d _bn1;
        private readonly Conv2d _conv2;
        private readonly BatchNorm2d _bn2;
        private readonly Downsample? _downsample;

        public BasicBlock(int inputs, int outputs, int stride) : base(nameof(BasicBlock))
        {
            _conv1 = this.Register("conv1", Conv2d(inputs, outputs, 3, stride, padding: 1, bias: false));
            _bn1 = this.Register("bn1", BatchNorm2d(outputs));
            _conv2 = this.Register("conv2", Conv2d(outputs, outputs, 3, padding: 1, bias: false));
            _bn2 = this.Register("bn2", BatchNorm2d(outputs));
            if (stride != 1 || inputs != outputs)
                _downsample = this.Register("downsample", new Downsample(inputs, outputs, stride));
        }

        public override T Apply<T>(IOperators<T> op, T x)
        {
            var y = op.Activate(Activation.Relu, op.ConvBatchNorm(_conv1, _bn1, x));
            y = op.ConvBatchNorm(_conv2, _bn2, y);
            return op.Activate(Activation.Relu, op.Add(y, _downsample is null ? x : _downsample.Apply(op, x)));
        }
    }

    private sealed class Bottleneck : Block
    {
        private readonly Conv2d _conv1;
        private readonly BatchNorm2d _bn1;
        private readonly Conv2d _conv2;
        private readonly BatchNorm2d _bn2;
        private readonly Conv2d _conv3;
        private readonly BatchNorm2d _bn3;
        private readonly Downsample? _downsample;

        public Bottleneck(int inputs, int inner, int outputs, int stride) : base(nameof(Bottleneck))
        {
            _conv1 = this.Register("conv1", Conv2d(inputs, inner, 1, bias: false));
            _bn1 = this.Register("bn1", BatchNorm2d(inner));
            _conv2 = this.Register("conv2", Conv2d(inner, inner, 3, stride, padding: 1, bias: false));
            _bn2 = this.Register("bn2", BatchNorm2d(inner));
            _conv3 = this.Register("conv3", Conv2d(inner, outputs, 1, bias: false));
            _bn3 = this.Register("bn3", BatchNorm2d(outputs));
            if (stride != 1 || inputs != outputs)
                _downsample = this.Register("downsample", new Downsample(inputs, outputs, stride));
        }

        public override T Apply<T>(IOperators<T> op, T x)
        {
            var y = op.Activate(Activation.Relu, op.ConvBatchNorm(_conv1, _bn1, x));
            y = op.Activate(Activation.Relu, op.ConvBatchNorm(_conv2, _bn2, y));
            y = op.ConvBatchNorm(_conv3, _bn3, y);
            return op.Activate(Activation.Relu, op.Add(y, _downsample is null ? x : _downsample.Apply(op, x)));
        }
    }

    private sealed class Downsample : Block
    {
        private readonly Conv2d _conv;
        private readonly BatchNorm2d _norm;

        public Downsample(int inputs, int outputs, int stride) : base(nameof(Downsample))
        {
            _conv = this.Register("0", Conv2d(inputs, outputs, 1, stride, bias: false));
            _norm = this.Register("1", BatchNorm2d(outputs));
        }

        public override T Apply<T>(IOperators<T> op, T x) => op.ConvBatchNorm(_conv, _norm, x);
    }
}

/// <summary>The number of blocks in each of the four stages, and their type.</summary>
internal sealed record ResNetConfiguration(bool Bottleneck, int[] Blocks)
{
    public int Expansion => Bottleneck ? 4 : 1;

    public static ResNetConfiguration ResNet18 { get; } = new(false, [2, 2, 2, 2]);

    public static ResNetConfiguration ResNet34 { get; } = new(false, [3, 4, 6, 3]);

    public static ResNetConfiguration ResNet50 { get; } = new(true, [3, 4, 6, 3]);

    public static ResNetConfiguration ResNet101 { get; } = new(true, [3, 4, 23, 3]);
}
