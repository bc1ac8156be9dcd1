using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>Keeps no pixels. Reading the data once gives the labels, the type of the pixels and the images that cannot be read.</summary>
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

/// <summary>
/// A set that keeps no pixels: each pass reads the data again, from its first row to its last. Memory is limited, so a pass follows the
/// requested order only within blocks: each block takes the next requested rows in the order of the data, and returns them in the requested
/// order. Shuffle data that is sorted by class first (DataOperationsCatalog.ShuffleRows). The length of a block depends only on the options
/// and the images, not on the machine, because it determines the order.
/// </summary>
internal sealed class StreamedImageSet(
    IDataView data, ImageColumn column, ScalarType pixelType, Tensor labels, Tensor dataRows, Tensor digests, long dataCount,
    long imagesAtOnce)
    : ImageSet(column.Shape, labels, dataRows, digests)
{
    /// <summary>While one block is in use, the next one is read, so each may take half of the memory.</summary>
    public override long BlockLength { get; } = Math.Min(Math.Clamp(imagesAtOnce / 2, 1, 1 << 24), labels.shape[0]);

    /// <inheritdoc/>
    public override ScalarType PixelType => pixelType;

    /// <inheritdoc/>
    protected override IImageBatches Read(Tensor rows, Tensor places, int batchSize, Device device)
    {
        var positions = new long[dataCount];
        Array.Fill(positions, -1);
        var order = places.data<long>().ToArray();
        for (var i = 0L; i < order.Length; i++)
            positions[order[i]] = positions[order[i]] < 0
                ? i
                : throw new ArgumentException("Each row can be read only once in a pass.", nameof(rows));

        var blocks = new ImageBlocks(data, column, pixelType, positions, order.Length, (int)BlockLength);
        return new Batches(blocks, Labels, rows, batchSize, device);
    }

    private sealed class Batches(ImageBlocks blocks, Tensor labels, Tensor order, int batchSize, Device device) : IImageBatches
    {
        private readonly Tensor _order = order.alias().DetachFromDisposeScope();
        private readonly long _count = order.shape[0];
        private ImageBlock? _block;
        private long _next;
        private long _nextInBlock;

        public ImageBatch Current { get; private set; }

        public bool MoveNext()
        {
            if (_next >= _count)
                return false;

            var count = Math.Min(batchSize, _count - _next);
            using var scope = NewDisposeScope();
            var pixels = new List<Tensor>();
            var positions = new List<Tensor>();
            for (var missing = count; missing > 0;)
            {
                if (_block is null || _nextInBlock == _block.Count)
                {
                    _block?.Dispose();
                    (_block, _nextInBlock) = (blocks.Take(), 0);
                }
                var part = Math.Min(missing, _block.Count - _nextInBlock);
                pixels.Add(_block.Pixels.index_select(0, _block.Slots.narrow(0, _nextInBlock, part)));
                positions.Add(_block.Positions.narrow(0, _nextInBlock, part));
                _nextInBlock += part;
                missing -= part;
            }
            _next += count;
            var rows = _order.index_select(0, cat(positions));
            var batch = new ImageBatch(cat(pixels).to(device), labels.index_select(0, rows).to(device), rows.to(device));
            scope.MoveToOuter(batch.Pixels, batch.Labels, batch.Rows);
            Current = batch;
            return true;
        }

        public void Dispose()
        {
            _block?.Dispose();
            blocks.Dispose();
            _order.Dispose();
        }
    }
}

/// <summary>
/// Reads a view block by block, and decodes each block on all cores. The next block is read while the current one is in use.
/// </summary>
internal sealed class ImageBlocks : IDisposable
{
    private readonly ImageColumn _column;
    private readonly ScalarType _pixelType;
    private readonly long[] _positions;
    private readonly long _count;
    private readonly int _blockLength;
    private readonly DataViewRowCursor _cursor;
    private readonly Func<RawImage, string?> _readImage;
    private long _dataRow = -1;
    private long _taken;
    private Task<ImageBlock>? _next;

    /// <summary>Starts reading.</summary>
    /// <param name="data">The view.</param>
    /// <param name="column">How to read an image.</param>
    /// <param name="pixelType">The type of the pixels.</param>
    /// <param name="positions">The position in the pass for each row of the data, or -1 for a row that is not in the pass.</param>
    /// <param name="count">The number of rows in the pass.</param>
    /// <param name="blockLength">The number of images in a block.</param>
    public ImageBlocks(IDataView data, ImageColumn column, ScalarType pixelType, long[] positions, long count, int blockLength)
    {
        _column = column;
        _pixelType = pixelType;
        _positions = positions;
        _count = count;
        _blockLength = blockLength;
        _cursor = data.GetRowCursor([data.Schema[column.Name]]);
        _readImage = column.CreateGetter(_cursor);
        _next = Task.Run(Read);
    }

    /// <summary>Returns the next block, which the caller must dispose of.</summary>
    public ImageBlock Take()
    {
        var block = (_next ?? throw new InvalidOperationException("There are no more blocks.")).GetAwaiter().GetResult();
        _next = _taken < _count ? Task.Run(Read) : null;
        return block;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_next is not null)
        {
            // Ignore the failure of a block that nobody will read.
            ((IAsyncResult)_next).AsyncWaitHandle.WaitOne();
            if (_next.IsCompletedSuccessfully)
                _next.Result.Dispose();
        }
        _cursor.Dispose();
    }

    private ImageBlock Read()
    {
        var length = (int)Math.Min(_blockLength, _count - _taken);
        using var store = new MemoryStore(_column.Shape, length, _pixelType);
        var positions = new long[length];
        var filled = 0;
        Exception? failure = null;

        bool TryTake(RawImage raw, out int slot)
        {
            lock (_cursor)
            {
                slot = filled;
                if (failure is not null || filled == length)
                    return false;

                do
                {
                    if (!_cursor.MoveNext())
                        throw Changed("it has fewer rows");
                    _dataRow++;
                }
                while (_positions[_dataRow] < 0);

                positions[slot] = _positions[_dataRow];
                if (_readImage(raw) is { } problem)
                    throw Changed(problem);
                filled++;
                return true;
            }
        }

        void Work()
        {
            try
            {
                var raw = new RawImage();
                var floats = new byte[_column.Shape.Length * sizeof(float)];
                while (TryTake(raw, out var slot))
                    Write(raw, store.Place(slot, []), floats);
            }
            catch (Exception e)
            {
                lock (_cursor)
                    failure ??= e;
            }
        }
        var others = new Task[Environment.ProcessorCount - 1];
        for (var i = 0; i < others.Length; i++)
            others[i] = Task.Factory.StartNew(Work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        Work();
        Task.WaitAll(others);
        if (failure is not null)
            ExceptionDispatchInfo.Throw(failure);

        _taken += length;
        long[] slots = [.. Enumerable.Range(0, length).Select(slot => (long)slot)];
        Array.Sort(positions, slots);
        return new ImageBlock(store.Release(), tensor(slots).DetachFromDisposeScope(), tensor(positions).DetachFromDisposeScope());
    }

    private void Write(RawImage raw, Span<byte> pixels, byte[] floats)
    {
        if (raw.Kind == ImageKind.Values && _pixelType == ScalarType.Byte)
        {
            if (!_column.TryDecode(raw, floats, out var reason))
                throw Changed(reason);
            if (!PixelVector.TryNarrow(MemoryMarshal.Cast<byte, float>(floats), pixels))
                throw Changed("its pixels are no longer bytes");
        }
        else if (!_column.TryDecode(raw, pixels, out var problem))
        {
            throw Changed(problem);
        }
    }

    private InvalidOperationException Changed(string how) => new(
        $"Column '{_column.Name}' has changed since it was first read, near row {_dataRow}: {how}. "
        + "Data that is read again in each epoch must not change: set a seed for random steps, or cache the data.");
}

/// <summary>Images in memory. The i-th image in order is at <paramref name="Slots"/>[i] of <paramref name="Pixels"/>.</summary>
/// <param name="Pixels">uint8 or float32 [N, H, W, C].</param>
/// <param name="Slots">int64 [N].</param>
/// <param name="Positions">The position of the i-th image in the order of the pass: int64 [N], ascending.</param>
internal sealed record ImageBlock(Tensor Pixels, Tensor Slots, Tensor Positions) : IDisposable
{
    public long Count => Slots.shape[0];

    /// <inheritdoc/>
    public void Dispose()
    {
        Pixels.Dispose();
        Slots.Dispose();
        Positions.Dispose();
    }
}
