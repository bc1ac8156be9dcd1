using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>Pixels in one tensor [N, H, W, C].</summary>
internal sealed unsafe class MemoryStore : PixelStore
{
    private Tensor _pixels;
    private byte* _start;

    public MemoryStore(ImageShape shape, long count, ScalarType type = ScalarType.Byte)
        : base(shape, count)
    {
        PixelType = type;
        Allocate();
    }

    /// <inheritdoc/>
    public override Span<byte> Place(long place, byte[] scratch) => new(_start + (place * PlaceLength), PlaceLength);

    /// <inheritdoc/>
    public override void Commit(long place, ReadOnlySpan<byte> pixels)
    {
    }

    /// <inheritdoc/>
    public override void Widen(long places)
    {
        // Usually the first image decides: hardly a page of the byte tensor has been touched then, and the two take little more than one.
        using var scope = NewDisposeScope();
        using var bytes = _pixels;
        PixelType = ScalarType.Float32;
        Allocate();
        _pixels.narrow(0, 0, places).copy_(bytes.narrow(0, 0, places));
    }

    /// <inheritdoc/>
    public override ImageSet ToSet(Tensor labels, Tensor places, Tensor digests, IReadOnlySet<long> leftOut) =>
        new MemoryImageSet(Shape, Release(), labels, places, digests);

    /// <summary>The tensor, the caller's from now on.</summary>
    public Tensor Release() => _pixels.alias().DetachFromDisposeScope();

    /// <inheritdoc/>
    public override void Dispose() => _pixels.Dispose();

    [MemberNotNull(nameof(_pixels))]
    private void Allocate()
    {
        _pixels = empty([Count, Shape.Height, Shape.Width, Shape.Channels], PixelType).DetachFromDisposeScope();

        // Tensor.bytes counts in 32 bits; the pointer to its first image does not.
        using var first = _pixels.narrow(0, 0, 1);
        _start = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(first.bytes));
        HugePages.Advise((nint)_start, checked((nint)(_pixels.numel() * _pixels.ElementSize)));
    }
}
