using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>Where the pixels of a set are put while it is read: one place an image. Different places may be written at once.</summary>
internal abstract class PixelStore(ImageShape shape, long count) : IDisposable
{
    /// <summary>The shape of every image.</summary>
    public ImageShape Shape { get; } = shape;

    /// <summary>The number of places.</summary>
    public long Count { get; } = count;

    /// <summary>Bytes, until <see cref="Widen"/>.</summary>
    public ScalarType PixelType { get; protected set; } = ScalarType.Byte;

    /// <summary>Bytes of one image.</summary>
    public int PlaceLength => checked(Shape.Length * (PixelType == ScalarType.Byte ? 1 : sizeof(float)));

    /// <summary>Where to write an image: the place itself, or <paramref name="scratch"/> where the place is not in memory.</summary>
    public abstract Span<byte> Place(long place, byte[] scratch);

    /// <summary>Takes over what was written to <see cref="Place"/>.</summary>
    public abstract void Commit(long place, ReadOnlySpan<byte> pixels);

    /// <summary>Turns the bytes into float32; only the first <paramref name="places"/> places have been written.</summary>
    public abstract void Widen(long places);

    /// <summary>The set of what was written; the store is empty afterwards.</summary>
    /// <param name="labels">The class indices of the images kept, int64.</param>
    /// <param name="places">Where each of them is, int64.</param>
    /// <param name="digests">What tells their pixels from others, int64.</param>
    /// <param name="leftOut">The rows of the data that are not among them.</param>
    public abstract ImageSet ToSet(Tensor labels, Tensor places, Tensor digests, IReadOnlySet<long> leftOut);

    /// <inheritdoc/>
    public abstract void Dispose();
}
