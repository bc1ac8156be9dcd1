using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>Pixels in one tensor [N, H, W, C].</summary>
internal sealed unsafe class MemoryStore : PixelStore
{
    private Tensor _pixels;
    private byte* _start;

    public MemoryStore(ImageShape shape, long count)
        : base(shape, count)
    {
        Allocate();
    }

    /// <inheritdoc/>
    public override Span<byte> Place(long row, ref byte[] scratch) => Row(row);

    /// <inheritdoc/>
    public override void Commit(long row, ReadOnlySpan<byte> pixels)
    {
    }

    /// <inheritdoc/>
    public override void Widen(long rows)
    {
        // Usually row 0 decides, while no page of the byte tensor has been touched: then it takes no memory beside the new one.
        using var scope = NewDisposeScope();
        var bytes = _pixels;
        PixelType = ScalarType.Float32;
        Allocate();
        _pixels.narrow(0, 0, rows).copy_(bytes.narrow(0, 0, rows));
        bytes.Dispose();
    }

    /// <inheritdoc/>
    public override void Keep(long[] rows)
    {
        for (var to = 0L; to < rows.Length; to++)
            Row(rows[to]).CopyTo(Row(to));
        var kept = _pixels.narrow(0, 0, rows.Length).DetachFromDisposeScope();
        _pixels.Dispose();
        _pixels = kept;
        Count = rows.Length;
    }

    /// <inheritdoc/>
    public override ImageSet ToSet(Tensor labels)
    {
        var set = new MemoryImageSet(Shape, _pixels.alias().DetachFromDisposeScope(), labels);
        Dispose();
        return set;
    }

    /// <inheritdoc/>
    public override void Dispose() => _pixels.Dispose();

    private Span<byte> Row(long row) => new(_start + (row * RowLength), RowLength);

    [MemberNotNull(nameof(_pixels))]
    private void Allocate()
    {
        _pixels = empty([Count, Shape.Height, Shape.Width, Shape.Channels], PixelType).DetachFromDisposeScope();

        // Tensor.bytes counts in 32 bits; the pointer to its first row does not.
        using var first = _pixels.narrow(0, 0, 1);
        _start = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(first.bytes));
    }
}
