using TorchSharp.Modules;
using static TorchSharp.torch.nn;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Channels gated by what all pixels say (Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018, arXiv:1709.01507).</summary>
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
