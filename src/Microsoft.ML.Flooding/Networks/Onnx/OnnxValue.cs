using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks.Onnx;

/// <summary>
/// What a name of a graph stands for while the graph is read. The number of images stays open by working everything out twice, for one
/// image and
/// for two: a size that differs is a multiple of it.
/// </summary>
/// <param name="One">The shape for one image.</param>
/// <param name="Two">The shape for two images.</param>
internal abstract record OnnxValue(long[] One, long[] Two)
{
    public int Rank => One.Length;

    /// <summary>Whether the shape depends on the number of images.</summary>
    public bool IsPerImage => !One.SequenceEqual(Two);
}

/// <summary>Known before any image is: weights, and what follows from shapes.</summary>
/// <param name="ForOne">The values for one image.</param>
/// <param name="ForTwo">The values for two images; the same tensor where they are no others.</param>
internal sealed record KnownValue(Tensor ForOne, Tensor ForTwo) : OnnxValue(ForOne.shape, ForTwo.shape)
{
    public KnownValue(Tensor values) : this(values, values)
    {
    }

    public bool IsFixed => ReferenceEquals(ForOne, ForTwo);
}

/// <summary>Computed from the image.</summary>
/// <param name="Number">Of the value in the program.</param>
/// <param name="One">The shape for one image.</param>
/// <param name="Two">The shape for two images.</param>
/// <param name="IsLearned">Whether a layer with parameters has a part in it.</param>
internal sealed record ComputedValue(int Number, long[] One, long[] Two, bool IsLearned) : OnnxValue(One, Two);
