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
        : base(shape, count) => Allocate();

    /// <inheritdoc/>
    public override Span<byte> Place(long place, byte[] scratch) => new(_start + (place * PlaceLength), PlaceLength);

    /// <inheritdoc/>
    public override void Commit(long place, ReadOnlySpan<byte> pixels)
    {
    }

    /// <inheritdoc/>
    public override void Widen()
    {
        // Usually the first image decides: hardly a page of the byte tensor has been touched then, and the two take little more than one.
        using var bytes = _pixels;
        PixelType = ScalarType.Float32;
        Allocate();
        _pixels.copy_(bytes);
    }

    /// <inheritdoc/>
    public override ImageSet ToSet(Tensor labels, long[] places) =>
        new MemoryImageSet(Shape, _pixels.alias().DetachFromDisposeScope(), labels, places);

    /// <inheritdoc/>
    public override void Dispose() => _pixels.Dispose();

    [MemberNotNull(nameof(_pixels))]
    private void Allocate()
    {
        _pixels = empty([Count, Shape.Height, Shape.Width, Shape.Channels], PixelType).DetachFromDisposeScope();

        // Tensor.bytes counts in 32 bits; the pointer to its first image does not.
        using var first = _pixels.narrow(0, 0, 1);
        _start = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(first.bytes));
    }
}
