using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>The operators that networks are written in, over values of a type.</summary>
/// <typeparam name="T">A tensor, the shape of one, or its name in a graph.</typeparam>
/// <remarks>
/// <para>A network's forward pass is written once; what it does, computing, counting or emitting a graph, is the choice of the
/// interpreter (the "tagless final" style).</para>
/// <para>An operator may overwrite its first value, so a network must not read a value again that it passed first to
/// <see cref="Activate"/> or to <see cref="Add"/>. <see cref="Copy"/> makes a value that may be overwritten.</para>
/// </remarks>
internal interface IOperators<T>
{
    /// <summary>[N, C, H, W] to [N, D, H', W'].</summary>
    T Conv2d(Conv2d conv, T x);

    /// <summary>Over axis 1, by the statistics of the batch in training and by the running ones otherwise.</summary>
    T BatchNorm(BatchNorm norm, T x);

    /// <summary>A convolution and the normalization of what it gives; interpreters may fold the two into one.</summary>
    T ConvBatchNorm(Conv2d conv, BatchNorm2d norm, T x) => BatchNorm(norm, Conv2d(conv, x));

    /// <summary>Over the last axis.</summary>
    T Linear(Linear linear, T x);

    /// <summary>A linear layer and the normalization of what it gives; interpreters may fold the two into one.</summary>
    T LinearBatchNorm(Linear linear, BatchNorm1d norm, T x) => BatchNorm(norm, Linear(linear, x));

    /// <summary>Over the last axis.</summary>
    T LayerNorm(LayerNorm norm, T x);

    /// <summary>Self-attention of [N, L, D], scaled by 1 / sqrt(D / heads).</summary>
    /// <param name="projection">D to 3 D: query, key and value one after the other, each head by head.</param>
    /// <param name="output">D to D.</param>
    /// <param name="heads">A divisor of D.</param>
    /// <param name="x">The tokens.</param>
    T Attention(Linear projection, Linear output, int heads, T x);

    T Activate(Activation activation, T x);

    /// <summary>The sum of two values of one shape.</summary>
    T Add(T x, T y);

    /// <summary>Element by element; each value broadcasts. Neither is overwritten.</summary>
    T Combine(BinaryOperator combination, T x, T y);

    /// <summary>A parameter or buffer of the network as a value.</summary>
    T Constant(Tensor values);

    /// <summary>The same values, for an operator to overwrite.</summary>
    T Copy(T x);

    T Pool(Pooling pooling, T x);

    /// <summary>[N, C, H, W] to [N, C, 1, 1].</summary>
    T GlobalAveragePool(T x);

    /// <param name="aggregation">What becomes of the axes.</param>
    /// <param name="axes">From the first, 0.</param>
    /// <param name="keeps">Whether the axes stay, with the size 1.</param>
    /// <param name="x">The value.</param>
    T Reduce(Aggregation aggregation, long[] axes, bool keeps, T x);

    /// <summary>The product of the matrices of the last two axes; those before broadcast.</summary>
    T MatMul(T x, T y);

    T Softmax(long axis, T x);

    /// <param name="before">Values to put before those of each axis.</param>
    /// <param name="after">Values to put behind.</param>
    /// <param name="value">Of the padding.</param>
    /// <param name="x">The value.</param>
    T Pad(long[] before, long[] after, double value, T x);

    /// <param name="sizes">Of the new axes; one may be -1, which takes what the others leave.</param>
    /// <param name="x">The value.</param>
    T Reshape(long[] sizes, T x);

    /// <summary>All axes from one on become one.</summary>
    T Flatten(int axis, T x);

    T Permute(long[] axes, T x);

    /// <summary>Every <paramref name="step"/>th value of an axis from <paramref name="start"/> to before <paramref name="end"/>.</summary>
    T Slice(long axis, long start, long end, long step, T x);

    /// <summary>The values of an axis that have these numbers, in this order.</summary>
    T Gather(long axis, long[] indices, T x);

    T Concat(long axis, T[] values);

    /// <summary>[1, ...] to [N, ...] with the first axis of another value.</summary>
    T Repeat(T x, T like);

    /// <summary>In training, zeroes single values (Srivastava et al., JMLR 2014) and scales the others by 1 / (1 - probability).</summary>
    T Dropout(double probability, T x);

    /// <summary>In training, zeroes whole samples (Huang et al., ECCV 2016, arXiv:1603.09382) and scales the others by 1 / (1 - probability).</summary>
    T StochasticDepth(double probability, T x);
}
