using TorchSharp.Modules;
using static TorchSharp.torch.nn;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>
/// The block of MobileNetV3 and EfficientNet: it expands, filters each channel, squeezes and excites, then projects, with a shortcut if the
/// shapes allow it (Sandler et al., CVPR 2018, arXiv:1801.04381).
/// </summary>
internal sealed class InvertedResidual : Block
{
    private readonly Stack _block;
    private readonly bool _shortcut;
    private readonly double _dropped;

    /// <param name="shape">The channels of the input, of the expansion and of the output; the size and stride of the filter.</param>
    /// <param name="activation">The activation after the expansion and after the filter.</param>
    /// <param name="excitation">The squeeze and excitation; null for none.</param>
    /// <param name="norm">The settings of every batch norm.</param>
    /// <param name="dropped">The probability of stochastic depth.</param>
    public InvertedResidual(
        (int Inputs, int Expanded, int Outputs, int Kernel, int Stride) shape, Activation activation, SqueezeExcitation? excitation,
        (double Epsilon, double Momentum) norm, double dropped)
        : base(nameof(InvertedResidual))
    {
        var (inputs, expanded, outputs, kernel, stride) = shape;
        var blocks = new List<Block>();
        if (expanded != inputs)
            blocks.Add(new ConvNormActivation(inputs, expanded, 1, activation, 1, 1, norm.Epsilon, norm.Momentum));
        blocks.Add(new ConvNormActivation(expanded, expanded, kernel, activation, stride, expanded, norm.Epsilon, norm.Momentum));
        if (excitation is not null)
            blocks.Add(excitation);
        blocks.Add(new ConvNormActivation(expanded, outputs, 1, null, 1, 1, norm.Epsilon, norm.Momentum));
        _block = this.Register("block", new Stack(blocks));
        _shortcut = stride == 1 && inputs == outputs;
        _dropped = dropped;
    }

    public override T Apply<T>(IOperators<T> op, T x)
    {
        var y = _block.Apply(op, x);
        return _shortcut ? op.Add(op.StochasticDepth(_dropped, y), x) : y;
    }
}

/// <summary>A convolution that keeps the resolution (except for its stride), batch norm, and an optional activation.</summary>
internal sealed class ConvNormActivation : Block
{
    private readonly Conv2d _conv;
    private readonly BatchNorm2d _norm;
    private readonly Activation? _activation;

    public ConvNormActivation(
        int inputs, int outputs, int kernel, Activation? activation, int stride = 1, int groups = 1, double epsilon = 1e-5,
        double momentum = 0.1)
        : base(nameof(ConvNormActivation))
    {
        _conv = this.Register("0", Conv2d(inputs, outputs, kernel, stride, padding: (kernel - 1) / 2, groups: groups, bias: false));
        _norm = this.Register("1", BatchNorm2d(outputs, epsilon, momentum));
        _activation = activation;
    }

    public override T Apply<T>(IOperators<T> op, T x)
    {
        x = op.ConvBatchNorm(_conv, _norm, x);
        return _activation is { } activation ? op.Activate(activation, x) : x;
    }
}

/// <summary>
/// Multiplies each channel by a gate that is computed from the means of all channels (Hu et al., "Squeeze-and-Excitation Networks", CVPR
/// 2018, arXiv:1709.01507).
/// </summary>
internal sealed class SqueezeExcitation : Block
{
    private readonly Conv2d _fc1;
    private readonly Conv2d _fc2;
    private readonly Activation _activation;
    private readonly Activation _gate;

    public SqueezeExcitation(int channels, int squeezed, Activation activation, Activation gate) : base(nameof(SqueezeExcitation))
    {
        _fc1 = this.Register("fc1", Conv2d(channels, squeezed, 1));
        _fc2 = this.Register("fc2", Conv2d(squeezed, channels, 1));
        _activation = activation;
        _gate = gate;
    }

    public override T Apply<T>(IOperators<T> op, T x)
    {
        var gate = op.Activate(_activation, op.Conv2d(_fc1, op.GlobalAveragePool(x)));
        return op.Combine(BinaryOperator.Multiply, x, op.Activate(_gate, op.Conv2d(_fc2, gate)));
    }
}

/// <summary>Computes the number of channels of a layer from a width multiplier.</summary>
internal static class Channels
{
    private const int Divisor = 8;

    /// <summary>The nearest multiple of 8, but at least 8 and at most a tenth below the exact number, as in MobileNet.</summary>
    public static int Scale(double channels, double multiplier = 1)
    {
        var exact = channels * multiplier;
        var rounded = Math.Max(Divisor, (int)(exact + (Divisor / 2)) / Divisor * Divisor);
        return rounded < 0.9 * exact ? rounded + Divisor : rounded;
    }
}
