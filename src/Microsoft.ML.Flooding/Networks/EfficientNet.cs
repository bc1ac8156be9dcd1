using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>
/// Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019, arXiv:1905.11946. Parameters as
/// torchvision names them.
/// </summary>
internal sealed class EfficientNet : Network
{
    private const double DropoutProbability = 0.2;
    private const double LastStochasticDepth = 0.2;
    private static readonly (double Epsilon, double Momentum) Norm = (1e-5, 0.1);
    private readonly Stack _features;

    public EfficientNet(double multiplier, bool smallStem, int channels, int classes) : base(nameof(EfficientNet))
    {
        var width = Channels.Scale(32, multiplier);
        var stages = new List<Block> { new ConvNormActivation(channels, width, 3, Activation.Silu, smallStem ? 1 : 2) };
        var (block, blocks) = (0, EfficientNetConfiguration.Stages.Sum(stage => stage.Blocks));
        foreach (var (expansion, kernel, stride, unscaled, count) in EfficientNetConfiguration.Stages)
        {
            var outputs = Channels.Scale(unscaled, multiplier);
            var stage = new List<Block>();
            for (var i = 0; i < count; i++)
            {
                var expanded = Channels.Scale(width * expansion);
                stage.Add(new InvertedResidual(
                    (width, expanded, outputs, kernel, i == 0 ? stride : 1), Activation.Silu,
                    new SqueezeExcitation(expanded, Math.Max(1, width / 4), Activation.Silu, Activation.Sigmoid),
                    Norm, LastStochasticDepth * block++ / blocks));
                width = outputs;
            }
            stages.Add(new Stack(stage));
        }
        stages.Add(new ConvNormActivation(width, 4 * width, 1, Activation.Silu));
        _features = this.Register("features", new Stack(stages));
        Head = Linear(4 * width, classes);
        this.Register("classifier", new Naming(("1", Head)));
    }

    public override Linear Head { get; }

    public override T Features<T>(IOperators<T> op, T x) =>
        op.Dropout(DropoutProbability, op.Flatten(1, op.GlobalAveragePool(_features.Apply(op, x))));

    protected override void InitializeModule(Module module, Generator generator)
    {
        switch (module)
        {
            case Conv2d conv:
                Initialization.KaimingNormalFanOut(conv.weight, generator);
                conv.bias?.zero_();
                break;
            case Linear linear:
                var bound = 1 / Math.Sqrt(linear.out_features);
                linear.weight.uniform_(-bound, bound, generator);
                linear.bias!.zero_();
                break;
        }
    }
}

/// <summary>The expansion, kernel, first stride, channels and blocks of each stage of B0: table 1 of the paper.</summary>
internal static class EfficientNetConfiguration
{
    public static IReadOnlyList<(int Expansion, int Kernel, int Stride, int Channels, int Blocks)> Stages { get; } =
    [
        (1, 3, 1, 16, 1),
        (6, 3, 2, 24, 2),
        (6, 5, 2, 40, 2),
        (6, 3, 2, 80, 3),
        (6, 5, 1, 112, 3),
        (6, 5, 2, 192, 4),
        (6, 3, 1, 320, 1),
    ];
}
