using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>Keeps no pixels: reading the data once finds the labels, the type of the pixels and the images that cannot be read.</summary>
internal sealed class StreamStore(IDataView data, ImageColumn column, long count, long maxBytes) : PixelStore(column.Shape, count)
{
    /// <inheritdoc/>
    public override Span<byte> Place(long place, byte[] scratch) => scratch.AsSpan(0, PlaceLength);

    /// <inheritdoc/>
    public override void Commit(long place, ReadOnlySpan<byte> pixels)
    {
    }

    /// <inheritdoc/>
    public override void Widen(long places) => PixelType = ScalarType.Float32;

    /// <inheritdoc/>
    public override ImageSet ToSet(Tensor labels, Tensor places, Tensor digests, IReadOnlySet<long> leftOut)
    {
        places.Dispose();
        long[] rows = [.. Enumerable.Range(0, checked((int)Count)).Select(row => (long)row).Where(row => !leftOut.Contains(row))];
        return new StreamedImageSet(
            data, column, PixelType, labels, tensor(rows).DetachFromDisposeScope(), digests, Count, imagesAtOnce: maxBytes / PlaceLength);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
    }
}
