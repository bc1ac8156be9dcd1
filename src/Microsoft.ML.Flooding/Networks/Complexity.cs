using Microsoft.ML.Flooding.Images;
using TorchSharp.Modules;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Counts what one image costs: an interpreter whose values are shapes.</summary>
internal sealed class Complexity : IOperators<long[]>
{
    private Complexity()
    {
    }

    /// <summary>The values that are learned.</summary>
    public long Parameters { get; private init; }

    /// <summary>Multiplications with an addition in convolutions, linear layers and attention for one image; elementwise work is not counted.</summary>
    public long MultiplyAdds { get; private set; }

    /// <summary>Values of the largest result of a layer for one image.</summary>
    public long LargestResult { get; private set; }

    public static Complexity Of(Network network, ImageShape shape)
    {
        var complexity = new Complexity { Parameters = network.parameters().Sum(parameter => parameter.numel()) };
        network.Logits(complexity, [1, shape.Channels, shape.Height, shape.Width]);
        return complexity;
    }

    public long[] Conv2d(Conv2d conv, long[] x)
    {
        var shape = conv.weight.shape;
        var (height, width) = (Extent(0, x[2]), Extent(1, x[3]));
        MultiplyAdds += height * width * shape[0] * shape[1] * shape[2] * shape[3];
        LargestResult = Math.Max(LargestResult, shape[0] * height * width);
        return [x[0], shape[0], height, width];

        long Extent(int axis, long size) => Networks.Extent.Of(size, conv.kernel_size[axis], conv.stride[axis], conv.padding![axis]);
    }

    public long[] BatchNorm(BatchNorm norm, long[] x) => x;

    public long[] Linear(Linear linear, long[] x)
    {
        MultiplyAdds += x.Aggregate(1L, (product, size) => product * size) * linear.out_features;
        LargestResult = Math.Max(LargestResult, x[1..^1].Aggregate(linear.out_features, (product, size) => product * size));
        return [.. x[..^1], linear.out_features];
    }

    public long[] LayerNorm(LayerNorm norm, long[] x) => x;

    public long[] Attention(Linear projection, Linear output, int heads, long[] x)
    {
        Linear(projection, x);
        MultiplyAdds += 2 * x[1] * x[1] * x[2];
        return Linear(output, x);
    }

    public long[] Activate(Activation activation, long[] x) => x;

    public long[] Add(long[] x, long[] y) => x;

    public long[] Add(long[] x, Parameter y) => x;

    public long[] Multiply(long[] x, long[] y) => x;

    public long[] Multiply(long[] x, Parameter y) => x;

    public long[] MaxPool2d(int kernel, int stride, int padding, long[] x) =>
        [x[0], x[1], Extent.Of(x[2], kernel, stride, padding), Extent.Of(x[3], kernel, stride, padding)];

    public long[] GlobalAveragePool(long[] x) => [x[0], x[1], 1, 1];

    public long[] Flatten(int axis, long[] x) => [.. x[..axis], x[axis..].Aggregate(1L, (product, size) => product * size)];

    public long[] Permute(long[] axes, long[] x) => [.. axes.Select(axis => x[axis])];

    public long[] Prepend(Parameter token, long[] x) => [x[0], x[1] + 1, x[2]];

    public long[] First(long[] x) => [x[0], x[2]];

    public long[] Dropout(double probability, long[] x) => x;

    public long[] StochasticDepth(double probability, long[] x) => x;
}
