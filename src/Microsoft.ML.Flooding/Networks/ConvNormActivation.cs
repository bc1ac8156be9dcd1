using TorchSharp.Modules;
using static TorchSharp.torch.nn;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>A convolution that keeps the resolution but for its stride, batch norm, and maybe an activation.</summary>
internal sealed class ConvNormActivation : Block
{
    private readonly Conv2d _conv;
    private readonly BatchNorm2d _norm;
    private readonly Activation? _activation;

    public ConvNormActivation(int inputs, int outputs, int kernel, Activation? activation, int stride = 1, int groups = 1, double epsilon = 1e-5, double momentum = 0.1)
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
