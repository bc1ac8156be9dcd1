using TorchSharp.Modules;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>The operators that networks are written in, over values of a type.</summary>
/// <typeparam name="T">A tensor, the shape of one, or its name in a graph.</typeparam>
/// <remarks>
/// <para>A network's forward pass is written once; what it does, computing, counting or emitting a graph, is the choice of the
/// interpreter (the "tagless final" style).</para>
/// <para>An operator may overwrite its first value, so a network must not read a value again that it passed first to
/// <see cref="Activate"/> or to <see cref="Add(T, T)"/>.</para>
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

    /// <summary>The sum with a parameter that broadcasts.</summary>
    T Add(T x, Parameter y);

    /// <summary>The product of two values; the second broadcasts.</summary>
    T Multiply(T x, T y);

    /// <summary>The product with a parameter that broadcasts.</summary>
    T Multiply(T x, Parameter y);

    T MaxPool2d(int kernel, int stride, int padding, T x);

    /// <summary>[N, C, H, W] to [N, C, 1, 1].</summary>
    T GlobalAveragePool(T x);

    /// <summary>All axes from one on become one.</summary>
    T Flatten(int axis, T x);

    T Permute(long[] axes, T x);

    /// <summary>Puts one token, [1, 1, D], before those of each sample: [N, L, D] to [N, L + 1, D].</summary>
    T Prepend(Parameter token, T x);

    /// <summary>The first token of each sample: [N, L, D] to [N, D].</summary>
    T First(T x);

    /// <summary>In training, zeroes single values (Srivastava et al., JMLR 2014) and scales the others by 1 / (1 - probability).</summary>
    T Dropout(double probability, T x);

    /// <summary>In training, zeroes whole samples (Huang et al., ECCV 2016, arXiv:1603.09382) and scales the others by 1 / (1 - probability).</summary>
    T StochasticDepth(double probability, T x);
}
