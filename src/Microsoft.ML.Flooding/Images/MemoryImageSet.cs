using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>A set whose pixels are one tensor in memory, and on the GPU too where it is small enough.</summary>
internal sealed class MemoryImageSet(ImageShape shape, Tensor pixels, Tensor labels, Tensor places) : ImageSet(shape, labels, places)
{
    // TorchSharp does not say how much memory a GPU has free; the network's share is the larger one on any GPU worth training on.
    private const long MaxDeviceBytes = 2L << 30;

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
        if (IsOn(pixels, device) || pixels.numel() * pixels.ElementSize > MaxDeviceBytes)
            return new Batches(pixels, Labels, rows, places, batchSize, device);

        if (_pixelsOnDevice is null || !IsOn(_pixelsOnDevice, device))
        {
            LeaveDevice();
            _pixelsOnDevice = pixels.to(device).DetachFromDisposeScope();
            _labelsOnDevice = Labels.to(device).DetachFromDisposeScope();
        }

        return new Batches(_pixelsOnDevice, _labelsOnDevice!, rows, places, batchSize, device);
    }

    private static bool IsOn(Tensor tensor, Device device) =>
        tensor.device_type == device.type && (device.index < 0 || tensor.device_index == device.index);

    private void LeaveDevice()
    {
        _pixelsOnDevice?.Dispose();
        _labelsOnDevice?.Dispose();
        _pixelsOnDevice = _labelsOnDevice = null;
    }

    /// <summary>Gathers where the pixels are, then copies to the device if that is elsewhere.</summary>
    private sealed class Batches(Tensor pixels, Tensor labels, Tensor rows, Tensor places, int batchSize, Device device) : IImageBatches
    {
        private readonly Tensor _rows = rows.to(pixels.device).DetachFromDisposeScope();
        private readonly Tensor _places = places.to(pixels.device).DetachFromDisposeScope();
        private readonly bool _isElsewhere = !IsOn(pixels, device);
        private readonly long _count = rows.shape[0];
        private long _next;

        public ImageBatch Current { get; private set; }

        public bool MoveNext()
        {
            if (_next >= _count)
                return false;

            var count = Math.Min(batchSize, _count - _next);
            var rows = _rows.narrow(0, _next, count);
            using var places = _places.narrow(0, _next, count);
            _next += count;
            Current = new ImageBatch(pixels.index_select(0, places), labels.index_select(0, rows), rows);
            if (_isElsewhere)
                Current = new ImageBatch(Current.Pixels.to(device), Current.Labels.to(device), Current.Rows.to(device));
            return true;
        }

        public void Dispose()
        {
            _rows.Dispose();
            _places.Dispose();
        }
    }
}
