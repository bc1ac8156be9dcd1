using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>Keeps pixels in one tensor [N, H, W, C].</summary>
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
        // Usually the first image has values that are not bytes: the byte tensor is almost untouched, and both take little more than one.
        using var scope = NewDisposeScope();
        using var bytes = _pixels;
        PixelType = ScalarType.Float32;
        Allocate();
        _pixels.narrow(0, 0, places).copy_(bytes.narrow(0, 0, places));
    }

    /// <inheritdoc/>
    public override ImageSet ToSet(Tensor labels, Tensor places, Tensor digests, IReadOnlySet<long> leftOut) =>
        new MemoryImageSet(Shape, Release(), labels, places, digests);

    /// <summary>Returns the tensor, which the caller then owns.</summary>
    public Tensor Release() => _pixels.alias().DetachFromDisposeScope();

    /// <inheritdoc/>
    public override void Dispose() => _pixels.Dispose();

    [MemberNotNull(nameof(_pixels))]
    private void Allocate()
    {
        _pixels = empty([Count, Shape.Height, Shape.Width, Shape.Channels], PixelType).DetachFromDisposeScope();

        // The length of Tensor.bytes is a 32-bit integer; the pointer to the first image has no such limit.
        using var first = _pixels.narrow(0, 0, 1);
        _start = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(first.bytes));
        HugePages.Advise((nint)_start, checked((nint)(_pixels.numel() * _pixels.ElementSize)));
    }
}

/// <summary>A set whose pixels are one tensor in memory, with a copy on the GPU if it is small enough.</summary>
internal sealed class MemoryImageSet(ImageShape shape, Tensor pixels, Tensor labels, Tensor places, Tensor digests)
    : ImageSet(shape, labels, places, digests)
{
    // TorchSharp does not report the free memory of a GPU. On any GPU fit for training, the network takes the larger share.
    private const long MaxDeviceBytes = 2L << 30;

    // The size of several small batches that are gathered together.
    private const long GatheredBytes = 2 << 20;

    private Tensor? _pixelsOnDevice;
    private Tensor? _labelsOnDevice;

    /// <inheritdoc/>
    public override ScalarType PixelType => pixels.dtype;

    /// <inheritdoc/>
    public override void Dispose()
    {
        LeaveDevice();
        pixels.Dispose();
        base.Dispose();
    }

    /// <inheritdoc/>
    protected override IImageBatches Read(Tensor rows, Tensor places, int batchSize, Device device)
    {
        var gatheredCount = batchSize * Math.Max(1, GatheredBytes / (batchSize * (long)Shape.Length * pixels.ElementSize));
        if (IsOn(pixels, device) || pixels.numel() * pixels.ElementSize > MaxDeviceBytes)
            return new Batches(pixels, Labels, rows, places, batchSize, gatheredCount, device);

        if (_pixelsOnDevice is null || !IsOn(_pixelsOnDevice, device))
        {
            LeaveDevice();
            _pixelsOnDevice = pixels.to(device).DetachFromDisposeScope();
            _labelsOnDevice = Labels.to(device).DetachFromDisposeScope();
        }
        return new Batches(_pixelsOnDevice, _labelsOnDevice!, rows, places, batchSize, gatheredCount, device);
    }

    private static bool IsOn(Tensor tensor, Device device) =>
        tensor.device_type == device.type && (device.index < 0 || tensor.device_index == device.index);

    private void LeaveDevice()
    {
        _pixelsOnDevice?.Dispose();
        _labelsOnDevice?.Dispose();
        _pixelsOnDevice = _labelsOnDevice = null;
    }

    /// <summary>
    /// Gathers rows on the device that holds the pixels, then copies them to the target device if it is a different one. Small batches are
    /// gathered several at a time, because the rows are scattered in memory and each operator has a fixed cost.
    /// </summary>
    private sealed class Batches(
        Tensor pixels, Tensor labels, Tensor rows, Tensor places, int batchSize, long gatheredCount, Device device) : IImageBatches
    {
        private readonly Tensor _rows = rows.to(pixels.device).DetachFromDisposeScope();
        private readonly Tensor _places = places.to(pixels.device).DetachFromDisposeScope();
        private readonly bool _isElsewhere = !IsOn(pixels, device);
        private readonly long _count = rows.shape[0];
        private ImageBatch? _gathered;
        private long _next;

        public ImageBatch Current { get; private set; }

        public bool MoveNext()
        {
            if (_next >= _count)
                return false;

            var first = _next % gatheredCount;
            if (first == 0)
                Gather(Math.Min(gatheredCount, _count - _next));
            var count = Math.Min(batchSize, _count - _next);
            _next += count;
            var (gatheredPixels, gatheredLabels, gatheredRows) = _gathered!.Value;
            Current = new ImageBatch(
                gatheredPixels.narrow(0, first, count), gatheredLabels.narrow(0, first, count), gatheredRows.narrow(0, first, count));
            return true;
        }

        public void Dispose()
        {
            Release();
            _rows.Dispose();
            _places.Dispose();
        }

        private void Gather(long count)
        {
            Release();
            using var scope = NewDisposeScope();
            var rows = _rows.narrow(0, _next, count);
            var (gatheredPixels, gatheredLabels) = (pixels.index_select(0, _places.narrow(0, _next, count)), labels.index_select(0, rows));
            if (_isElsewhere)
                (gatheredPixels, gatheredLabels, rows) = (gatheredPixels.to(device), gatheredLabels.to(device), rows.to(device));
            _gathered = new ImageBatch(
                gatheredPixels.DetachFromDisposeScope(), gatheredLabels.DetachFromDisposeScope(), rows.DetachFromDisposeScope());
        }

        private void Release()
        {
            _gathered?.Pixels.Dispose();
            _gathered?.Labels.Dispose();
            _gathered?.Rows.Dispose();
            _gathered = null;
        }
    }
}
