using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>Where the pixels of a set are put while it is read: one place a row. Different rows may be written at once.</summary>
internal abstract class PixelStore(ImageShape shape, long count) : IDisposable
{
    public ImageShape Shape { get; } = shape;

    public long Count { get; protected set; } = count;

    public ScalarType PixelType { get; protected set; } = ScalarType.Byte;

    /// <summary>Bytes of one image.</summary>
    public int RowLength => checked(Shape.Length * (PixelType == ScalarType.Byte ? 1 : sizeof(float)));

    /// <summary>Where to write a row's pixels: its place, or <paramref name="scratch"/> where memory is not the place.</summary>
    public abstract Span<byte> Place(long row, ref byte[] scratch);

    /// <summary>Takes over the pixels written to <see cref="Place"/>.</summary>
    public abstract void Commit(long row, ReadOnlySpan<byte> pixels);

    /// <summary>Turns bytes into float32; the first <paramref name="rows"/> rows have been written.</summary>
    public abstract void Widen(long rows);

    /// <summary>Closes the gaps: keeps these rows alone, in order.</summary>
    public abstract void Keep(long[] rows);

    /// <summary>The set of what was written; the store is empty afterwards.</summary>
    public abstract ImageSet ToSet(Tensor labels);

    /// <inheritdoc/>
    public abstract void Dispose();
}
