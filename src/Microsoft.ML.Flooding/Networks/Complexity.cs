using Microsoft.ML.Flooding.Images;
using TorchSharp.Modules;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Counts what one image costs: an interpreter whose values are shapes.</summary>
internal sealed class Complexity : ShapeOperators
{
    private Complexity()
    {
    }

    /// <summary>The values that are learned.</summary>
    public long Parameters { get; private init; }

    /// <summary>
    /// Multiplications with an addition in convolutions, linear layers and products of matrices for one image; elementwise work is not
    /// counted.
    /// </summary>
    public long MultiplyAdds { get; private set; }

    /// <summary>Values of the largest result of a layer for one image.</summary>
    public long LargestResult { get; private set; }

    public static Complexity Of(Network network, ImageShape shape)
    {
        var complexity = new Complexity { Parameters = network.parameters().Sum(parameter => parameter.numel()) };
        network.Logits(complexity, [1, shape.Channels, shape.Height, shape.Width]);
        return complexity;
    }

    public override long[] Conv2d(Conv2d conv, long[] x)
    {
        var result = base.Conv2d(conv, x);
        Count(result, Product(conv.weight.shape.Skip(1)));
        return result;
    }

    public override long[] Linear(Linear linear, long[] x)
    {
        var result = base.Linear(linear, x);
        Count(result, linear.in_features);
        return result;
    }

    public override long[] Attention(Linear projection, Linear output, int heads, long[] x)
    {
        MultiplyAdds += 2 * x[1] * x[1] * x[2];
        return base.Attention(projection, output, heads, x);
    }

    public override long[] MatMul(long[] x, long[] y)
    {
        var result = base.MatMul(x, y);
        Count(result, x[^1]);
        return result;
    }

    private void Count(long[] result, long addends)
    {
        var values = Product(result);
        MultiplyAdds += values * addends;
        LargestResult = Math.Max(LargestResult, values);
    }
}
