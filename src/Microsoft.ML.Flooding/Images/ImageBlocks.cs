using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

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
            if (!FloatPixels.TryNarrow(MemoryMarshal.Cast<byte, float>(floats), pixels))
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
