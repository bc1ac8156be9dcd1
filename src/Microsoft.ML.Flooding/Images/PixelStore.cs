using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// Holds the pixels of a set while it is read, with one place for each image. Threads may write to different places at the same time.
/// </summary>
internal abstract class PixelStore(ImageShape shape, long count) : IDisposable
{
    /// <summary>The shape of every image.</summary>
    public ImageShape Shape { get; } = shape;

    /// <summary>The number of places.</summary>
    public long Count { get; } = count;

    /// <summary>uint8, or float32 after <see cref="Widen"/>.</summary>
    public ScalarType PixelType { get; protected set; } = ScalarType.Byte;

    /// <summary>The number of bytes of an image.</summary>
    public int PlaceLength => checked(Shape.Length * (PixelType == ScalarType.Byte ? 1 : sizeof(float)));

    /// <summary>The memory to write an image to: the place itself, or <paramref name="scratch"/> if the place is not in memory.</summary>
    public abstract Span<byte> Place(long place, byte[] scratch);

    /// <summary>Stores what was written to <see cref="Place"/>.</summary>
    public abstract void Commit(long place, ReadOnlySpan<byte> pixels);

    /// <summary>Converts the bytes to float32. Only the first <paramref name="places"/> places have been written.</summary>
    public abstract void Widen(long places);

    /// <summary>Moves the pixels into a set. The store cannot be used afterwards.</summary>
    /// <param name="labels">The class indices of the images in the set, int64.</param>
    /// <param name="places">The place of each image, int64.</param>
    /// <param name="digests">The digest of each image's pixels, int64.</param>
    /// <param name="leftOut">The rows of the data that are not in the set.</param>
    public abstract ImageSet ToSet(Tensor labels, Tensor places, Tensor digests, IReadOnlySet<long> leftOut);

    /// <inheritdoc/>
    public abstract void Dispose();
}
