using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks.Onnx;

/// <summary>
/// A value of a graph while the graph is read. Every shape is computed twice, for one image and for two: a size that differs is
/// proportional to the number of images.
/// </summary>
/// <param name="One">The shape for one image.</param>
/// <param name="Two">The shape for two images.</param>
internal abstract record OnnxValue(long[] One, long[] Two)
{
    public int Rank => One.Length;

    /// <summary>Whether the shape depends on the number of images.</summary>
    public bool IsPerImage => !One.SequenceEqual(Two);
}

/// <summary>A value that does not depend on the image: weights, and values computed from shapes.</summary>
/// <param name="ForOne">The values for one image.</param>
/// <param name="ForTwo">The values for two images; the same tensor if they do not differ.</param>
internal sealed record KnownValue(Tensor ForOne, Tensor ForTwo) : OnnxValue(ForOne.shape, ForTwo.shape)
{
    public KnownValue(Tensor values) : this(values, values)
    {
    }

    public bool IsFixed => ReferenceEquals(ForOne, ForTwo);
}

/// <summary>A value that is computed from the image.</summary>
/// <param name="Number">The number of the value in the program.</param>
/// <param name="One">The shape for one image.</param>
/// <param name="Two">The shape for two images.</param>
/// <param name="IsLearned">Whether it depends on a layer with parameters.</param>
internal sealed record ComputedValue(int Number, long[] One, long[] Two, bool IsLearned) : OnnxValue(One, Two);
