using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>A set whose pixels are in a file. Batches are gathered on other threads, a few ahead of the one in use.</summary>
internal sealed class FileImageSet(
    ImageShape shape, ScalarType pixelType, SafeFileHandle file, Tensor labels, Tensor places, Tensor digests)
    : ImageSet(shape, labels, places, digests)
{
    private const int BatchesAhead = 4;

    /// <inheritdoc/>
    public override ScalarType PixelType => pixelType;

    /// <inheritdoc/>
    public override void Dispose()
    {
        file.Dispose();
        base.Dispose();
    }

    /// <inheritdoc/>
    protected override IImageBatches Read(Tensor rows, Tensor places, int batchSize, Device device) =>
        new Batches(this, rows, places.data<long>().ToArray(), batchSize, device);

    private unsafe Tensor Gather(ReadOnlySpan<long> places)
    {
        var pixels = empty([places.Length, Shape.Height, Shape.Width, Shape.Channels], PixelType).DetachFromDisposeScope();
        using var first = pixels.narrow(0, 0, 1);
        var length = first.bytes.Length;
        var target = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(first.bytes));
        foreach (var place in places)
        {
            for (var done = 0; done < length;)
            {
                var read = RandomAccess.Read(file, new Span<byte>(target + done, length - done), (place * length) + done);
                done += read > 0 ? read : throw new EndOfStreamException("The file of cached images is shorter than it was.");
            }

            target += length;
        }

        return pixels;
    }

    private sealed class Batches : IImageBatches
    {
        private readonly FileImageSet _set;
        private readonly Tensor _rows;
        private readonly long[] _places;
        private readonly int _batchSize;
        private readonly Device _device;
        private readonly Queue<Task<Tensor>> _ahead = new(BatchesAhead);
        private long _next;
        private int _nextAhead;

        public Batches(FileImageSet set, Tensor rows, long[] places, int batchSize, Device device)
        {
            _set = set;
            _rows = rows.alias().DetachFromDisposeScope();
            _places = places;
            _batchSize = batchSize;
            _device = device;
            for (var i = 0; i < BatchesAhead; i++)
                ReadAhead();
        }

        public ImageBatch Current { get; private set; }

        public bool MoveNext()
        {
            if (!_ahead.TryDequeue(out var gathering))
                return false;

            using var gathered = gathering.GetAwaiter().GetResult();
            ReadAhead();
            using var rows = _rows.narrow(0, _next, gathered.shape[0]);
            _next += gathered.shape[0];
            using var labels = _set.Labels.index_select(0, rows);
            Current = new ImageBatch(gathered.to(_device), labels.to(_device), rows.to(_device));
            return true;
        }

        public void Dispose()
        {
            foreach (var gathering in _ahead)
            {
                // What went wrong with a batch that nobody will ask for is nobody's concern.
                ((IAsyncResult)gathering).AsyncWaitHandle.WaitOne();
                if (gathering.IsCompletedSuccessfully)
                    gathering.Result.Dispose();
            }

            _ahead.Clear();
            _rows.Dispose();
        }

        private void ReadAhead()
        {
            var start = _nextAhead;
            var count = Math.Min(_batchSize, _places.Length - start);
            if (count <= 0)
                return;

            _ahead.Enqueue(Task.Run(() => _set.Gather(_places.AsSpan(start, count))));
            _nextAhead += count;
        }
    }
}
