using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// Keeps pixels in a temporary file, for sets larger than the memory limit. The file is read and written, not mapped: mapped pages would
/// count as memory of the process, and the operating system caches the file anyway.
/// </summary>
internal sealed class FileStore(ImageShape shape, long count, string? folder) : PixelStore(shape, count)
{
    private const int WideningBlock = 1 << 20;

    private SafeFileHandle? _file = Create(folder, shape.Length * count);

    /// <inheritdoc/>
    public override Span<byte> Place(long place, byte[] scratch) => scratch.AsSpan(0, PlaceLength);

    /// <inheritdoc/>
    public override void Commit(long place, ReadOnlySpan<byte> pixels) => RandomAccess.Write(_file!, pixels, place * PlaceLength);

    /// <inheritdoc/>
    public override void Widen(long places)
    {
        using var narrow = _file!;
        _file = Create(folder, Shape.Length * Count * sizeof(float));
        PixelType = ScalarType.Float32;
        var length = Shape.Length * places;
        var bytes = new byte[WideningBlock];
        var floats = new float[WideningBlock];
        for (var done = 0L; done < length;)
        {
            var block = RandomAccess.Read(narrow, bytes.AsSpan(0, (int)Math.Min(WideningBlock, length - done)), done);
            for (var i = 0; i < block; i++)
                floats[i] = bytes[i];
            RandomAccess.Write(_file, MemoryMarshal.AsBytes(floats.AsSpan(0, block)), done * sizeof(float));
            done += block;
        }
    }

    /// <inheritdoc/>
    public override ImageSet ToSet(Tensor labels, Tensor places, Tensor digests, IReadOnlySet<long> leftOut)
    {
        var set = new FileImageSet(Shape, PixelType, _file!, labels, places, digests);
        _file = null;
        return set;
    }

    /// <inheritdoc/>
    public override void Dispose() => _file?.Dispose();

    private static SafeFileHandle Create(string? folder, long length)
    {
        var path = Path.Combine(folder ?? Path.GetTempPath(), $"flooding-{Guid.NewGuid():N}.pixels");
        try
        {
            var file = File.OpenHandle(
                path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Delete, FileOptions.DeleteOnClose, preallocationSize: length);

            // Deleting the open file removes it even if the process is killed. On Windows, DeleteOnClose does so.
            if (!OperatingSystem.IsWindows())
                File.Delete(path);
            RandomAccess.SetLength(file, length);
            return file;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException(
                $"The images take {length >> 20} MiB, more than MaxCacheBytes, and the file '{path}' for them cannot be created: "
                + $"{e.Message} Raise MaxCacheBytes, free disk space, or set CacheOnDisk to false.", e);
        }
    }
}

/// <summary>A set whose pixels are in a file. Other threads read a few batches ahead of the one in use.</summary>
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
                done += read > 0 ? read : throw new EndOfStreamException("The file of cached images is shorter than what was written.");
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
                // Ignore the failure of a batch that nobody will read.
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
