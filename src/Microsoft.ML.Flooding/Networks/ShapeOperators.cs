using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>
/// Computes only shapes, not values. An operator whose operands do not fit together throws an <see cref="ArgumentException"/>.
/// </summary>
internal class ShapeOperators : IOperators<long[]>
{
    public static ShapeOperators Instance { get; } = new();

    public virtual long[] Conv2d(Conv2d conv, long[] x)
    {
        var weight = conv.weight.shape;
        if (x.Length != 4 || x[1] != weight[1] * conv.groups)
            throw Wrong($"A convolution of {weight[1] * conv.groups} channels cannot take {Describe(x)}.");
        return [x[0], weight[0], .. Slide(x, conv.kernel_size, conv.stride, conv.padding!, conv.dilation)];
    }

    public long[] BatchNorm(BatchNorm norm, long[] x) => x.Length > 1 && x[1] == norm.num_features
        ? x
        : throw Wrong($"Batch normalization of {norm.num_features} channels cannot take {Describe(x)}.");

    public virtual long[] Linear(Linear linear, long[] x) => x.Length > 0 && x[^1] == linear.in_features
        ? [.. x[..^1], linear.out_features]
        : throw Wrong($"A linear layer of {linear.in_features} inputs cannot take {Describe(x)}.");

    public long[] LayerNorm(LayerNorm norm, long[] x) => x.Length > 0 && x[^1] == norm.normalized_shape[^1]
        ? x
        : throw Wrong($"Layer normalization of {norm.normalized_shape[^1]} values cannot take {Describe(x)}.");

    public virtual long[] Attention(Linear projection, Linear output, int heads, long[] x)
    {
        Linear(projection, x);
        return Linear(output, x);
    }

    public long[] Activate(Activation activation, long[] x) => x;

    public long[] Add(long[] x, long[] y) => x.SequenceEqual(y)
        ? x
        : throw Wrong($"The shapes {Describe(x)} and {Describe(y)} differ.");

    public long[] Combine(BinaryOperator combination, long[] x, long[] y) => Broadcast(x, y);

    public long[] Constant(Tensor values) => values.shape;

    public long[] Copy(long[] x) => x;

    public long[] Pool(Pooling pooling, long[] x) => x.Length == 4
        ? [x[0], x[1], .. Slide(x, pooling.Kernel, pooling.Stride, pooling.Padding, pooling.Dilation)]
        : throw Wrong($"A pooling over height and width cannot take {Describe(x)}.");

    public long[] GlobalAveragePool(long[] x) => [x[0], x[1], 1, 1];

    public long[] Reduce(Aggregation aggregation, long[] axes, bool keeps, long[] x) =>
        [.. x.Index().Where(axis => keeps || !axes.Contains(axis.Index)).Select(axis => axes.Contains(axis.Index) ? 1 : axis.Item)];

    public virtual long[] MatMul(long[] x, long[] y) => x.Length > 1 && y.Length > 1 && x[^1] == y[^2]
        ? [.. Broadcast(x[..^2], y[..^2]), x[^2], y[^1]]
        : throw Wrong($"There is no matrix product of {Describe(x)} and {Describe(y)}.");

    public long[] Softmax(long axis, long[] x) => x;

    public long[] Pad(long[] before, long[] after, double value, long[] x) => before.Length == x.Length && after.Length == x.Length
        ? [.. x.Index().Select(axis => checked(before[axis.Index] + axis.Item + after[axis.Index]))]
        : throw Wrong($"A padding of {before.Length} axes does not fit {Describe(x)}.");

    public long[] Reshape(long[] sizes, long[] x)
    {
        var (all, known) = (Product(x), Product(sizes.Where(size => size >= 0)));
        if (Array.IndexOf(sizes, -1) is var open and >= 0 && known > 0 && all % known == 0)
            return [.. sizes[..open], all / known, .. sizes[(open + 1)..]];
        return !sizes.Contains(-1) && all == known ? sizes : throw Wrong($"{Describe(x)} cannot be reshaped to {Describe(sizes)}.");
    }

    public long[] Flatten(int axis, long[] x) => [.. x[..axis], Product(x[axis..])];

    public long[] Permute(long[] axes, long[] x) => axes.Order().SequenceEqual(Enumerable.Range(0, x.Length).Select(i => (long)i))
        ? [.. axes.Select(axis => x[axis])]
        : throw Wrong($"{Describe(axes)} is not a permutation of the axes of {Describe(x)}.");

    public long[] Slice(long axis, long start, long end, long step, long[] x) => 0 <= start && start < end && end <= x[axis] && step > 0
        ? [.. x[..(int)axis], (end - start + step - 1) / step, .. x[((int)axis + 1)..]]
        : throw Wrong($"There is no slice from {start} to {end} of axis {axis} of {Describe(x)}.");

    public long[] Gather(long axis, long[] indices, long[] x) => Array.TrueForAll(indices, index => 0 <= index && index < x[axis])
        ? [.. x[..(int)axis], indices.Length, .. x[((int)axis + 1)..]]
        : throw Wrong($"Axis {axis} of {Describe(x)} does not have all of the indices {Describe(indices)}.");

    public long[] Concat(long axis, long[][] values)
    {
        var first = values[0];
        if (!Array.TrueForAll(values, x => x.Length == first.Length && x.Index().All(a => a.Index == axis || a.Item == first[a.Index])))
            throw Wrong($"{string.Join(", ", values.Select(Describe))} cannot be concatenated along axis {axis}.");
        return [.. first[..(int)axis], values.Sum(x => x[axis]), .. first[((int)axis + 1)..]];
    }

    public long[] Repeat(long[] x, long[] like) => x.Length > 0 && x[0] == 1
        ? [like[0], .. x[1..]]
        : throw Wrong($"{Describe(x)} cannot be repeated for each image.");

    public long[] Dropout(double probability, long[] x) => x;

    public long[] StochasticDepth(double probability, long[] x) => x;

    /// <summary>A shape as text, such as "[1, 3, 224, 224]".</summary>
    public static string Describe(long[] x) => $"[{string.Join(", ", x)}]";

    /// <exception cref="OverflowException">The product exceeds 64 bits.</exception>
    protected static long Product(IEnumerable<long> sizes) => sizes.Aggregate(1L, (product, size) => checked(product * size));

    private static long[] Slide(long[] x, long[] kernel, long[] stride, long[] padding, long[] dilation)
    {
        var sizes = new long[2];
        for (var i = 0; i < 2; i++)
        {
            var reach = checked((dilation[i] * (kernel[i] - 1)) + 1);
            var padded = checked(x[i + 2] + (2 * padding[i]));
            if (kernel[i] < 1 || stride[i] < 1 || dilation[i] < 1 || padding[i] < 0 || reach > padded)
                throw Wrong($"A window of {reach} values with a stride of {stride[i]} does not fit into {Describe(x)}.");
            sizes[i] = ((padded - reach) / stride[i]) + 1;
        }
        return sizes;
    }

    private static long[] Broadcast(long[] x, long[] y)
    {
        var (longer, shorter) = x.Length >= y.Length ? (x, y) : (y, x);
        var sizes = (long[])longer.Clone();
        for (var (i, from) = (0, longer.Length - shorter.Length); i < shorter.Length; i++)
        {
            if (longer[from + i] != shorter[i] && longer[from + i] != 1 && shorter[i] != 1)
                throw Wrong($"The shapes {Describe(x)} and {Describe(y)} cannot be broadcast.");
            sizes[from + i] = longer[from + i] == 1 ? shorter[i] : longer[from + i];
        }
        return sizes;
    }

    private static ArgumentException Wrong(string message) => new(message);
}
