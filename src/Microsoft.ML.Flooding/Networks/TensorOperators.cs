using Microsoft.ML.Flooding.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Computes: each operator is the library's, at once.</summary>
/// <param name="training">Whether dropout and stochastic depth act. Batch norm goes by the mode of its module.</param>
/// <param name="generator">What they draw from, a generator of the CPU; the global one of the device when null.</param>
internal sealed class TensorOperators(bool training, Generator? generator) : IOperators<Tensor>
{
    /// <summary>For scoring.</summary>
    public static TensorOperators Instance { get; } = new(false, null);

    public Tensor Conv2d(Conv2d conv, Tensor x) => Networks.Convolution.Apply(conv, x, conv.weight, conv.bias);

    public Tensor BatchNorm(BatchNorm norm, Tensor x) => norm.forward(x);

    public Tensor Linear(Linear linear, Tensor x) => LinearLayer.Apply(x, linear.weight!, linear.bias);

    public Tensor LayerNorm(LayerNorm norm, Tensor x) => norm.forward(x);

    public Tensor Attention(Linear projection, Linear output, int heads, Tensor x)
    {
        var (tokens, width) = (x.shape[1], x.shape[2]);
        var parts = Linear(projection, x).reshape(-1, tokens, 3, heads, width / heads).permute(2, 0, 3, 1, 4).unbind(0);
        return Linear(output, F.scaled_dot_product_attention(parts[0], parts[1], parts[2]).transpose(1, 2).reshape(-1, tokens, width));
    }

    public Tensor Activate(Activation activation, Tensor x) => activation switch
    {
        // The gradients of the first three follow from their result, so nothing is lost by overwriting what they are given.
        Activation.Relu => x.relu_(),
        Activation.Relu6 => x.relu6_(),
        Activation.Sigmoid => x.sigmoid_(),
        Activation.Hardsigmoid => x.hardsigmoid(),
        Activation.Hardswish => x.hardswish(),
        Activation.Silu => x.silu(),
        Activation.Gelu => x.gelu(),
        _ => throw new ArgumentOutOfRangeException(nameof(activation)),
    };

    public Tensor Add(Tensor x, Tensor y) => x.PlusInPlace(y);

    public Tensor Add(Tensor x, Parameter y) => x.Plus(y);

    public Tensor Multiply(Tensor x, Tensor y) => x.mul(y);

    public Tensor Multiply(Tensor x, Parameter y) => x.mul(y);

    public Tensor MaxPool2d(int kernel, int stride, int padding, Tensor x) => F.max_pool2d(x, kernel, stride, padding);

    public Tensor GlobalAveragePool(Tensor x) => F.adaptive_avg_pool2d(x, 1);

    public Tensor Flatten(int axis, Tensor x) => x.flatten(axis);

    public Tensor Permute(long[] axes, Tensor x) => x.permute(axes);

    public Tensor Prepend(Parameter token, Tensor x) => cat([token.expand(x.shape[0], -1, -1), x], 1);

    public Tensor First(Tensor x) => x.select(1, 0);

    public Tensor Dropout(double probability, Tensor x) => Drop(probability, x, x.shape);

    public Tensor StochasticDepth(double probability, Tensor x)
    {
        var shape = new long[x.ndim];
        Array.Fill(shape, 1);
        shape[0] = x.shape[0];
        return Drop(probability, x, shape);
    }

    private Tensor Drop(double probability, Tensor x, long[] shape)
    {
        if (!training || probability == 0)
            return x;
        using var drawn = empty(shape, x.dtype, generator is null ? x.device : CPU).bernoulli_(1 - probability, generator);
        using var kept = drawn.to(x.device);
        return x.mul(kept.OverInPlace(1 - probability));
    }
}
