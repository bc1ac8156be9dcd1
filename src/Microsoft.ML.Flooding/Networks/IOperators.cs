using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>The operators that networks are built from, over values of type <typeparamref name="T"/>.</summary>
/// <typeparam name="T">A tensor, the shape of a tensor, or its name in a graph.</typeparam>
/// <remarks>
/// <para>The forward pass of a network is written once. The implementation of this interface decides whether it computes values, counts
/// operations or writes a graph (the "tagless final" style).</para>
/// <para><see cref="Activate"/> and <see cref="Add"/> may overwrite their first value, so a network must not read that value again.
/// <see cref="Copy"/> creates a value that can be overwritten.</para>
/// </remarks>
internal interface IOperators<T>
{
    /// <summary>[N, C, H, W] to [N, D, H', W'].</summary>
    T Conv2d(Conv2d conv, T x);

    /// <summary>Normalizes over axis 1, with the statistics of the batch in training and with the running statistics otherwise.</summary>
    T BatchNorm(BatchNorm norm, T x);

    /// <summary>A convolution followed by a batch norm. An implementation may fold the two into one.</summary>
    T ConvBatchNorm(Conv2d conv, BatchNorm2d norm, T x) => BatchNorm(norm, Conv2d(conv, x));

    /// <summary>A linear layer over the last axis.</summary>
    T Linear(Linear linear, T x);

    /// <summary>A linear layer followed by a batch norm. An implementation may fold the two into one.</summary>
    T LinearBatchNorm(Linear linear, BatchNorm1d norm, T x) => BatchNorm(norm, Linear(linear, x));

    /// <summary>Normalizes over the last axis.</summary>
    T LayerNorm(LayerNorm norm, T x);

    /// <summary>Self-attention of [N, L, D], scaled by 1 / sqrt(D / heads).</summary>
    /// <param name="projection">D to 3 D: the query, the key and the value, each split into heads.</param>
    /// <param name="output">D to D.</param>
    /// <param name="heads">A divisor of D.</param>
    /// <param name="x">The tokens.</param>
    T Attention(Linear projection, Linear output, int heads, T x);

    T Activate(Activation activation, T x);

    /// <summary>The sum of two values of the same shape.</summary>
    T Add(T x, T y);

    /// <summary>Combines two values element by element, with broadcasting. Neither is overwritten.</summary>
    T Combine(BinaryOperator combination, T x, T y);

    /// <summary>A parameter or buffer of the network as a value.</summary>
    T Constant(Tensor values);

    /// <summary>A copy that an operator can overwrite.</summary>
    T Copy(T x);

    T Pool(Pooling pooling, T x);

    /// <summary>[N, C, H, W] to [N, C, 1, 1].</summary>
    T GlobalAveragePool(T x);

    /// <summary>Reduces axes.</summary>
    /// <param name="aggregation">How to reduce them.</param>
    /// <param name="axes">The axes, from 0.</param>
    /// <param name="keeps">Whether to keep the axes, with a size of 1.</param>
    /// <param name="x">The value.</param>
    T Reduce(Aggregation aggregation, long[] axes, bool keeps, T x);

    /// <summary>The matrix product over the last two axes. The other axes are broadcast.</summary>
    T MatMul(T x, T y);

    T Softmax(long axis, T x);

    /// <summary>Pads with a constant.</summary>
    /// <param name="before">For each axis, the number of values to add at its start.</param>
    /// <param name="after">For each axis, the number of values to add at its end.</param>
    /// <param name="value">The constant.</param>
    /// <param name="x">The value.</param>
    T Pad(long[] before, long[] after, double value, T x);

    /// <summary>Changes the shape.</summary>
    /// <param name="sizes">The sizes of the new axes. One of them may be -1; it follows from the others.</param>
    /// <param name="x">The value.</param>
    T Reshape(long[] sizes, T x);

    /// <summary>Joins all axes from <paramref name="axis"/> on.</summary>
    T Flatten(int axis, T x);

    T Permute(long[] axes, T x);

    /// <summary>
    /// Every <paramref name="step"/>th value of an axis from <paramref name="start"/> up to, not including, <paramref name="end"/>.
    /// </summary>
    T Slice(long axis, long start, long end, long step, T x);

    /// <summary>The values of an axis at the given indices, in this order.</summary>
    T Gather(long axis, long[] indices, T x);

    T Concat(long axis, T[] values);

    /// <summary>Repeats [1, ...] to [N, ...], where N is the size of the first axis of <paramref name="like"/>.</summary>
    T Repeat(T x, T like);

    /// <summary>
    /// In training, sets random values to 0 (Srivastava et al., JMLR 2014) and scales the others by 1 / (1 - probability).
    /// </summary>
    T Dropout(double probability, T x);

    /// <summary>
    /// In training, sets random samples to 0 (Huang et al., ECCV 2016, arXiv:1603.09382) and scales the others by 1 / (1 - probability).
    /// </summary>
    T StochasticDepth(double probability, T x);
}

/// <summary>An elementwise function of two values.</summary>
internal enum BinaryOperator
{
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Minimum,
    Maximum,
}

/// <summary>The maximum or the mean of a window that slides over height and width.</summary>
/// <param name="Aggregation">The maximum, which ignores the padding, or the mean, which counts its zeros.</param>
/// <param name="Kernel">The height and width of the window.</param>
/// <param name="Stride">The stride over height and width.</param>
/// <param name="Padding">The padding at both ends of height and width.</param>
/// <param name="Dilation">The dilation over height and width; 1 for a mean.</param>
internal sealed record Pooling(Aggregation Aggregation, long[] Kernel, long[] Stride, long[] Padding, long[] Dilation)
{
    public static Pooling Max(long kernel, long stride, long padding) =>
        new(Aggregation.Maximum, [kernel, kernel], [stride, stride], [padding, padding], [1, 1]);
}

/// <summary>How the values of an axis are reduced to one.</summary>
internal enum Aggregation
{
    Mean,
    Sum,
    Maximum,
}
