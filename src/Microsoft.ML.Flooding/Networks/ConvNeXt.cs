using Microsoft.ML.Flooding.Images;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Liu et al., "A ConvNet for the 2020s", CVPR 2022, arXiv:2201.03545. Parameters as torchvision names them.</summary>
internal sealed class ConvNeXt : Network
{
    private const double Epsilon = 1e-6;
    private static readonly long[] ToChannelsLast = [0, 2, 3, 1];
    private static readonly long[] ToChannelsFirst = [0, 3, 1, 2];
    private readonly Stack _features;
    private readonly LayerNorm _norm;

    public ConvNeXt(ConvNeXtConfiguration configuration, bool smallStem, ImageShape shape, int classes) : base(nameof(ConvNeXt))
    {
        var patch = smallStem ? 2 : 4;
        var smallest = patch << (configuration.Stages.Count - 1);
        if (Math.Min(shape.Height, shape.Width) < smallest)
            throw new ArgumentException($"This ConvNeXt needs images of at least {smallest} x {smallest} pixels; these are {shape}.");
        var width = configuration.Stages[0].Channels;
        var parts = new List<Block> { new Patches(shape.Channels, width, patch) };
        var (block, blocks) = (0, configuration.Stages.Sum(stage => stage.Blocks));
        foreach (var (channels, count) in configuration.Stages)
        {
            if (channels != width)
                parts.Add(new Downsample(width, channels));
            width = channels;
            parts.Add(new Stack(Enumerable.Range(0, count)
                .Select(_ => new Residual(channels, configuration.LastStochasticDepth * block++ / (blocks - 1)))));
        }
        _features = this.Register("features", new Stack(parts));
        _norm = LayerNorm(width, Epsilon);
        Head = Linear(width, classes);
        this.Register("classifier", new Naming(("0", _norm), ("2", Head)));
    }

    public override Linear Head { get; }

    // After pooling, only the channels are left, which are the axis to normalize. Flattening first saves two permutations.
    public override T Features<T>(IOperators<T> op, T x) =>
        op.LayerNorm(_norm, op.Flatten(1, op.GlobalAveragePool(_features.Apply(op, x))));

    protected override void InitializeModule(Module module, Generator generator)
    {
        switch (module)
        {
            case Conv2d conv:
                Initialization.TruncatedNormal(conv.weight, 0.02, generator);
                conv.bias!.zero_();
                break;
            case Linear linear:
                Initialization.TruncatedNormal(linear.weight, 0.02, generator);
                linear.bias!.zero_();
                break;
        }
    }

    private static T Normalize<T>(IOperators<T> op, LayerNorm norm, T x) =>
        op.Permute(ToChannelsFirst, op.LayerNorm(norm, op.Permute(ToChannelsLast, x)));

    private sealed class Patches : Block
    {
        private readonly Conv2d _conv;
        private readonly LayerNorm _norm;

        public Patches(int inputs, int outputs, int size) : base(nameof(Patches))
        {
            _conv = this.Register("0", Conv2d(inputs, outputs, size, size));
            _norm = this.Register("1", LayerNorm(outputs, Epsilon));
        }

        public override T Apply<T>(IOperators<T> op, T x) => Normalize(op, _norm, op.Conv2d(_conv, x));
    }

    private sealed class Downsample : Block
    {
        private readonly LayerNorm _norm;
        private readonly Conv2d _conv;

        public Downsample(int inputs, int outputs) : base(nameof(Downsample))
        {
            _norm = this.Register("0", LayerNorm(inputs, Epsilon));
            _conv = this.Register("1", Conv2d(inputs, outputs, 2, 2));
        }

        public override T Apply<T>(IOperators<T> op, T x) => op.Conv2d(_conv, Normalize(op, _norm, x));
    }

    private sealed class Residual : Block
    {
        private readonly Conv2d _filter;
        private readonly LayerNorm _norm;
        private readonly Linear _expand;
        private readonly Linear _project;
        private readonly double _dropped;

        public Residual(int channels, double dropped) : base(nameof(Residual))
        {
            this.Register("layer_scale", Parameter(full(channels, 1, 1, 1e-6f)));
            _filter = Conv2d(channels, channels, 7, padding: 3, groups: channels);
            _norm = LayerNorm(channels, Epsilon);
            _expand = Linear(channels, 4 * channels);
            _project = Linear(4 * channels, channels);
            _dropped = dropped;
            this.Register("block", new Naming(("0", _filter), ("2", _norm), ("3", _expand), ("5", _project)));
        }

        public override T Apply<T>(IOperators<T> op, T x)
        {
            var y = op.LayerNorm(_norm, op.Permute(ToChannelsLast, op.Conv2d(_filter, x)));
            y = op.Linear(_project, op.Activate(Activation.Gelu, op.Linear(_expand, y)));
            y = op.Combine(BinaryOperator.Multiply, op.Permute(ToChannelsFirst, y), op.Constant(get_parameter("layer_scale")!));
            return op.Add(op.StochasticDepth(_dropped, y), x);
        }
    }
}

/// <summary>The channels and blocks of each stage, and the probability of stochastic depth in the last block.</summary>
internal sealed record ConvNeXtConfiguration(double LastStochasticDepth, IReadOnlyList<(int Channels, int Blocks)> Stages)
{
    public static ConvNeXtConfiguration Tiny { get; } = new(0.1, [(96, 3), (192, 3), (384, 9), (768, 3)]);
}
