using Microsoft.ML.Flooding.Runtime;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Computes values with libtorch.</summary>
/// <param name="training">Whether dropout and stochastic depth are active. Batch norm follows the mode of its module.</param>
/// <param name="generator">The CPU generator that they draw from. If null, the global generator of the device.</param>
internal sealed class TensorOperators(bool training, Generator? generator) : IOperators<Tensor>
{
    /// <summary>The operators for scoring.</summary>
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

    public Tensor Activate(Activation activation, Tensor x) => activation.Function switch
    {
        // The gradients of the first three are computed from their results, so the input can be overwritten.
        Function.Relu => x.relu_(),
        Function.Clip when activation == Activation.Relu6 => x.relu6_(),
        Function.Sigmoid => x.sigmoid_(),
        Function.LeakyRelu => LeakyRelu(activation.First, x),
        Function.Clip => x.Within(activation.First, activation.Second),
        Function.HardSigmoid when activation == Activation.HardSigmoid => x.hardsigmoid(),
        Function.HardSigmoid => x.Times(activation.First).Plus(activation.Second).Within(0, 1),
        Function.HardSwish => x.hardswish(),
        Function.Silu => x.silu(),
        Function.Gelu => x.gelu(),
        Function.GeluTanh => x.gelu(GELU.Approximate.tanh),
        Function.Tanh => x.tanh(),
        Function.Erf => x.erf(),
        Function.Exp => x.exp(),
        Function.Log => x.log(),
        Function.Sqrt => x.sqrt(),
        Function.Negate => x.neg(),
        Function.Abs => x.abs(),
        Function.Reciprocal => x.reciprocal(),
        _ => throw new ArgumentOutOfRangeException(nameof(activation)),
    };

    public Tensor Add(Tensor x, Tensor y) => x.PlusInPlace(y);

    public Tensor Combine(BinaryOperator combination, Tensor x, Tensor y)
    {
        // A buffer stays in float32 even if the network computes in bfloat16. The result must not become float32.
        if (x.dtype != y.dtype)
            (x, y) = x.dtype == ScalarType.Float32 ? (x.to(y.dtype), y) : (x, y.to(x.dtype));
        return combination switch
        {
            BinaryOperator.Add => x.Plus(y),
            BinaryOperator.Subtract => x.sub(y),
            BinaryOperator.Multiply => x.mul(y),
            BinaryOperator.Divide => x.div(y),
            BinaryOperator.Power => x.pow(y),
            BinaryOperator.Minimum => x.minimum(y),
            BinaryOperator.Maximum => x.maximum(y),
            _ => throw new ArgumentOutOfRangeException(nameof(combination)),
        };
    }

    public Tensor Constant(Tensor values) => values;

    public Tensor Copy(Tensor x) => x.clone();

    public Tensor Pool(Pooling pooling, Tensor x) => pooling.Aggregation == Aggregation.Maximum
        ? F.max_pool2d(x, pooling.Kernel, pooling.Stride, pooling.Padding, pooling.Dilation)
        : F.avg_pool2d(x, pooling.Kernel, pooling.Stride, pooling.Padding);

    public Tensor GlobalAveragePool(Tensor x) => F.adaptive_avg_pool2d(x, 1);

    public Tensor Reduce(Aggregation aggregation, long[] axes, bool keeps, Tensor x) => aggregation switch
    {
        Aggregation.Mean => x.mean(axes, keeps),
        Aggregation.Sum => x.sum(axes, keeps),
        Aggregation.Maximum => x.amax(axes, keeps),
        _ => throw new ArgumentOutOfRangeException(nameof(aggregation)),
    };

    public Tensor MatMul(Tensor x, Tensor y) => x.matmul(y);

    public Tensor Softmax(long axis, Tensor x) => x.softmax(axis);

    // libtorch takes the last axis first.
    public Tensor Pad(long[] before, long[] after, double value, Tensor x) =>
        F.pad(x, [.. before.Zip(after).Reverse().SelectMany(ends => new[] { ends.First, ends.Second })], PaddingModes.Constant, value);

    public Tensor Reshape(long[] sizes, Tensor x) => x.reshape(sizes);

    public Tensor Flatten(int axis, Tensor x) => x.flatten(axis);

    public Tensor Permute(long[] axes, Tensor x) => x.permute(axes);

    public Tensor Slice(long axis, long start, long end, long step, Tensor x) => x.slice(axis, start, end, step);

    public Tensor Gather(long axis, long[] indices, Tensor x)
    {
        using var numbers = tensor(indices, device: x.device);
        return x.index_select(axis, numbers);
    }

    public Tensor Concat(long axis, Tensor[] values) => cat(values, axis);

    public Tensor Repeat(Tensor x, Tensor like) => x.expand([like.shape[0], .. x.shape.AsSpan(1)]);

    public Tensor Dropout(double probability, Tensor x) => Drop(probability, x, x.shape);

    public Tensor StochasticDepth(double probability, Tensor x)
    {
        var shape = new long[x.ndim];
        Array.Fill(shape, 1);
        shape[0] = x.shape[0];
        return Drop(probability, x, shape);
    }

    private static Tensor LeakyRelu(double slope, Tensor x)
    {
        using TorchSharp.Scalar number = slope;
        return x.leaky_relu(number);
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
