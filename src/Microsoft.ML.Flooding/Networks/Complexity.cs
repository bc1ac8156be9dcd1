using Microsoft.ML.Flooding.Images;
using TorchSharp.Modules;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Counts the parameters and operations of a network for one image.</summary>
internal sealed class Complexity : ShapeOperators
{
    private Complexity()
    {
    }

    /// <summary>The number of learned values.</summary>
    public long Parameters { get; private init; }

    /// <summary>
    /// The number of multiply-add operations in convolutions, linear layers and matrix products for one image. Elementwise operations are
    /// not counted.
    /// </summary>
    public long MultiplyAdds { get; private set; }

    /// <summary>The number of values in the largest result of a layer for one image.</summary>
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
