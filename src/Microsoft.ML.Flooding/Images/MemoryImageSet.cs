using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>A set whose pixels are one tensor in memory, and on the GPU too where it is small enough.</summary>
internal sealed class MemoryImageSet(ImageShape shape, Tensor pixels, Tensor labels) : ImageSet(shape, labels)
{
    // libtorch does not say through TorchSharp what memory is free; the network's share is the larger one on any GPU worth training on.
    private const long MaxDeviceBytes = 2L << 30;

    private (Device Device, Tensor Pixels, Tensor Labels)? _onDevice;

    /// <inheritdoc/>
    public override ScalarType PixelType => pixels.dtype;

    /// <inheritdoc/>
    public override IImageBatches Read(Tensor order, int batchSize, Device device)
    {
        if (device.type == TorchSharp.DeviceType.CPU)
            return new Batches(pixels, Labels, order, batchSize, device);
        if (pixels.numel() * pixels.ElementSize > MaxDeviceBytes)
            return new Batches(pixels, Labels, order, batchSize, device);

        if (_onDevice is null || !Same(_onDevice.Value.Device, device))
        {
            Release();
            _onDevice = (device, pixels.to(device).DetachFromDisposeScope(), Labels.to(device).DetachFromDisposeScope());
        }

        return new Batches(_onDevice.Value.Pixels, _onDevice.Value.Labels, order, batchSize, device);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        Release();
        pixels.Dispose();
        base.Dispose();
    }

    private static bool Same(Device left, Device right) => left.type == right.type && left.index == right.index;

    private void Release()
    {
        _onDevice?.Pixels.Dispose();
        _onDevice?.Labels.Dispose();
        _onDevice = null;
    }

    /// <summary>Gathers where the pixels are, then copies to the device if that is elsewhere.</summary>
    private sealed class Batches(Tensor pixels, Tensor labels, Tensor order, int batchSize, Device device) : IImageBatches
    {
        private readonly Tensor _order = order.to(pixels.device).DetachFromDisposeScope();
        private readonly bool _isElsewhere = !Same(pixels.device, device);
        private readonly long _count = order.shape[0];
        private long _next;

        public ImageBatch Current { get; private set; }

        public bool MoveNext()
        {
            if (_next >= _count)
                return false;

            var rows = _order.narrow(0, _next, Math.Min(batchSize, _count - _next));
            _next += batchSize;
            Current = new ImageBatch(pixels.index_select(0, rows), labels.index_select(0, rows), rows);
            if (_isElsewhere)
                Current = new ImageBatch(Current.Pixels.to(device), Current.Labels.to(device), rows.to(device));
            return true;
        }

        public void Dispose() => _order.Dispose();
    }
}
