using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
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

/// <summary>
/// A set that keeps no pixels: every pass reads the data again from its first row to its last. An order can be followed only as far as
/// memory reaches, so it holds within blocks: of the rows asked for, each block takes the next ones in the data's order and gives them
/// in the order asked for. Data sorted by class should therefore be shuffled beforehand (DataOperationsCatalog.ShuffleRows).
/// The length of a block follows from the options and the images alone, never from the machine: it decides the order.
/// </summary>
internal sealed class StreamedImageSet(
    IDataView data, ImageColumn column, ScalarType pixelType, Tensor labels, Tensor dataRows, Tensor digests, long dataCount,
    long imagesAtOnce)
    : ImageSet(column.Shape, labels, dataRows, digests)
{
    /// <summary>One block is in use while the next one is read.</summary>
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
            positions[order[i]] = positions[order[i]] < 0 ? i : throw new ArgumentException("A row can be read once a pass.", nameof(rows));

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

/// <summary>Reads a view block by block, the next one while its predecessor is in use, each decoded on all cores.</summary>
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
    /// <param name="column">How an image is read.</param>
    /// <param name="pixelType">The type of the pixels.</param>
    /// <param name="positions">For every row of the data its position in the pass, or -1.</param>
    /// <param name="count">The rows of the pass.</param>
    /// <param name="blockLength">Images a block.</param>
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

    /// <summary>The next block, the caller's to dispose.</summary>
    public ImageBlock Take()
    {
        var block = (_next ?? throw new InvalidOperationException("There is no further block.")).GetAwaiter().GetResult();
        _next = _taken < _count ? Task.Run(Read) : null;
        return block;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_next is not null)
        {
            // What went wrong with a block that nobody will ask for is nobody's concern.
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
                throw Changed("its pixels were bytes and are not any more");
        }
        else if (!_column.TryDecode(raw, pixels, out var problem))
        {
            throw Changed(problem);
        }
    }

    private InvalidOperationException Changed(string how) => new(
        $"Column '{_column.Name}' has changed since it was first read, at about row {_dataRow}: {how}. Data read again in every epoch must "
        + "stay as it is: give random steps a seed, or cache it.");
}

/// <summary>Images that are in memory together. The i-th in order is at <paramref name="Slots"/>[i] of <paramref name="Pixels"/>.</summary>
/// <param name="Pixels">[N, H, W, C].</param>
/// <param name="Slots">int64 [N].</param>
/// <param name="Positions">Where the i-th image stands in the order of the pass: int64 [N], ascending.</param>
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
