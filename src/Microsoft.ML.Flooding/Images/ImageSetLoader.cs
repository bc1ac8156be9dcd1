using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.ML.Flooding.Runtime;
using Microsoft.ML.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// Reads a view into a set. It requests as many parallel cursors as there are cores, so that the view's own work (reading files,
/// LoadImages) runs in parallel too. Each core reads a row, decodes it, and writes it to the next free place of the store. The place
/// depends on thread timing; the row number does not, because it follows from the cursors' batches.
/// </summary>
internal sealed class ImageSetLoader : IDisposable
{
    /// <summary>
    /// The memory limit of a streamed set if none is given. It determines the order of the images, so it is the same on every machine.
    /// </summary>
    internal const long DefaultStreamBytes = 1L << 30;

    private readonly ImageColumn _column;
    private readonly PixelStore _store;
    private readonly OnInvalidImage _onInvalidImage;
    private readonly RowKey[] _keys;
    private readonly int[] _labels;
    private readonly long[] _digests;
    private readonly Dictionary<long, string> _invalid = [];
    private readonly ReaderWriterLockSlim _widening = new();

    private long _taken;
    private RowKey? _firstInvalid;
    private volatile Exception? _failure;

    private ImageSetLoader(ImageColumn column, PixelStore store, OnInvalidImage onInvalidImage)
    {
        _column = column;
        _store = store;
        _onInvalidImage = onInvalidImage;
        _keys = new RowKey[store.Count];
        _labels = new int[store.Count];
        _digests = new long[store.Count];
    }

    /// <inheritdoc cref="ImageSet.Load"/>
    public static ImageSet Load(
        IHostEnvironment env, IDataView data, string featureColumn, string labelColumn, ImageColumn column, ImageSetOptions options,
        Action checkAlive)
    {
        column = column with { Name = featureColumn };
        var values = RowValues.Read(env, data, labelColumn, options, checkAlive);
        using var store = CreateStore(data, column, values.Count, options);
        using var loader = new ImageSetLoader(column, store, options.OnInvalidImage);
        loader.ReadRows(data, labelColumn, checkAlive);
        return loader.ToSet(env, data, values, options.Skipped);
    }

    /// <inheritdoc/>
    public void Dispose() => _widening.Dispose();

    private static PixelStore CreateStore(IDataView data, ImageColumn column, long count, ImageSetOptions options)
    {
        var maxBytes = options.MaxCacheBytes ?? (options.UseDisk ? FreeMemory.Bytes() / 2 : DefaultStreamBytes);
        var isByte = !ImageColumn.HoldsFloats(data.Schema[column.Name].Type);
        return count * column.Shape.Length * (isByte ? 1 : sizeof(float)) <= maxBytes ? new MemoryStore(column.Shape, count)
            : options.UseDisk ? new FileStore(column.Shape, count, options.CacheFolder)
            : new StreamStore(data, column, count, maxBytes);
    }

    private void ReadRows(IDataView data, string labelColumn, Action checkAlive)
    {
        var cursors = data.GetRowCursorSet([data.Schema[_column.Name], data.Schema[labelColumn]], Environment.ProcessorCount);
        try
        {
            var sources = Array.ConvertAll(cursors, cursor => new RowSource(cursor, _column, labelColumn));
            var others = new Task[Math.Max(Environment.ProcessorCount, sources.Length) - 1];
            for (var i = 0; i < others.Length; i++)
            {
                var start = i + 1;
                others[i] = Task.Factory.StartNew(
                    () => Read(sources, start, checkAlive), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
            }
            Read(sources, 0, checkAlive);
            Task.WaitAll(others);
        }
        finally
        {
            foreach (var cursor in cursors)
                cursor.Dispose();
        }
        if (_failure is not null)
            ExceptionDispatchInfo.Throw(_failure);
        if (_onInvalidImage == OnInvalidImage.Throw && _firstInvalid is { } first)
            throw Invalid(data, first);
        if (_taken != _store.Count)
            throw DifferentRows();
    }

    /// <summary>
    /// Reads a source and then helps with the others: ML.NET gives a cursor up to 64 rows at a time, so a small set is in few of them.
    /// </summary>
    private void Read(RowSource[] sources, int first, Action checkAlive)
    {
        try
        {
            var worker = new Worker(_store.Shape);
            var rows = 0;
            for (var i = 0; i < sources.Length; i++)
            {
                var source = sources[(first + i) % sources.Length];
                for (; TryTake(source, worker.Raw, out var place, out var problem); rows++)
                {
                    if (problem is not null || !TryWrite(place, worker, out problem))
                        AddInvalid(place, problem);
                    if (rows % 64 == 0)
                        checkAlive();
                }
            }
        }
        catch (Exception e)
        {
            _failure ??= e;
        }
    }

    private bool TryTake(RowSource source, RawImage raw, out long place, out string? problem)
    {
        place = -1;
        problem = null;
        lock (source)
        {
            if (_failure is not null || !source.MoveNext() || IsBeyondInvalid(source.Key))
                return false;

            place = Interlocked.Increment(ref _taken) - 1;
            var label = source.ReadLabel();
            if (place >= _store.Count || label < 0)
                throw DifferentRows();

            _keys[place] = source.Key;
            _labels[place] = (int)label;
            problem = source.TryRead(raw);
            return true;
        }
    }

    private bool TryWrite(long place, Worker worker, [NotNullWhen(false)] out string? problem)
    {
        if (worker.Raw.Kind == ImageKind.Values)
            return TryWriteValues(place, worker, out problem);

        var pixels = _store.Place(place, worker.Scratch);
        if (!_column.TryDecode(worker.Raw, pixels, out problem))
            return false;

        _digests[place] = Digest(pixels);
        _store.Commit(place, pixels);
        return true;
    }

    private static long Digest(ReadOnlySpan<byte> pixels)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(pixels, hash);
        return BinaryPrimitives.ReadInt64LittleEndian(hash);
    }

    /// <summary>
    /// Stores floats as bytes as long as all of them are integers from 0 to 255. Widening moves all places, so get a place only under the
    /// lock.
    /// </summary>
    private bool TryWriteValues(long place, Worker worker, [NotNullWhen(false)] out string? problem)
    {
        if (!_column.TryDecode(worker.Raw, worker.Values, out problem))
            return false;

        // The digest is of the floats, because thread timing determines whether a row is stored as bytes first.
        _digests[place] = Digest(worker.Values);
        _widening.EnterReadLock();
        try
        {
            if (TryStore(place, worker))
                return true;
        }
        finally
        {
            _widening.ExitReadLock();
        }
        _widening.EnterWriteLock();
        try
        {
            if (_store.PixelType == ScalarType.Byte)
                _store.Widen(Math.Min(Volatile.Read(ref _taken), _store.Count));
            TryStore(place, worker);
            return true;
        }
        finally
        {
            _widening.ExitWriteLock();
        }
    }

    /// <summary>Returns false if the store holds bytes and a value is not one.</summary>
    private bool TryStore(long place, Worker worker)
    {
        var pixels = _store.Place(place, worker.Scratch);
        if (_store.PixelType != ScalarType.Byte)
            worker.Values.CopyTo(pixels);
        else if (!PixelVector.TryNarrow(MemoryMarshal.Cast<byte, float>(worker.Values), pixels))
            return false;
        _store.Commit(place, pixels);
        return true;
    }

    private void AddInvalid(long place, string problem)
    {
        lock (_invalid)
        {
            _invalid.Add(place, problem);
            if (_firstInvalid is not { } first || _keys[place].CompareTo(first) < 0)
                _firstInvalid = _keys[place];
        }
    }

    /// <summary>
    /// Rows before an invalid row are still read: one of them may be invalid too, and counting them gives the row number.
    /// </summary>
    private bool IsBeyondInvalid(RowKey key)
    {
        if (_onInvalidImage == OnInvalidImage.Skip)
            return false;
        lock (_invalid)
            return _firstInvalid is { } first && first.CompareTo(key) < 0;
    }

    private InvalidOperationException Invalid(IDataView data, RowKey first)
    {
        var row = _keys.Take((int)_taken).Count(key => key.CompareTo(first) < 0);
        var problem = _invalid.Single(pair => _keys[pair.Key] == first).Value;
        return new InvalidOperationException(
            $"Column '{_column.Name}', {RowDescription.Of(data, row)}: the image cannot be read: {problem}. "
            + "Remove the row, or set OnInvalidImage to Skip.");
    }

    private ImageSet ToSet(IHostEnvironment env, IDataView data, RowValues rows, Action<SkippedImage>? skipped)
    {
        // Write to the tensors directly: with images of 28 x 28 bytes, temporary arrays would take several percent of the set.
        var places = empty(_store.Count, ScalarType.Int64).DetachFromDisposeScope();
        var order = Values(places);
        for (var place = 0; place < order.Length; place++)
            order[place] = place;
        _keys.AsSpan().Sort(order);

        var leftOut = _invalid.Count > 0 ? Report(env, data, order, skipped) : [];
        if (leftOut.Count > 0)
        {
            using var all = places;
            places = tensor(order.ToArray().Where(place => !_invalid.ContainsKey(place)).ToArray()).DetachFromDisposeScope();
            order = Values(places);
        }
        var labels = empty(order.Length, ScalarType.Int64).DetachFromDisposeScope();
        var values = Values(labels);
        var digests = empty(order.Length, ScalarType.Int64).DetachFromDisposeScope();
        var digestValues = Values(digests);
        for (var i = 0; i < order.Length; i++)
            (values[i], digestValues[i]) = (_labels[order[i]], _digests[order[i]]);
        var set = _store.ToSet(labels, places, digests, leftOut);
        (set.Weights, set.Groups) = rows.Without(leftOut);
        if (set.BlockLength < set.Count)
        {
            using var channel = env.Start("Reading images");
            channel.Info(MessageSensitivity.None,
                $"The {set.Count} images take more memory than MaxCacheBytes allows, and CacheOnDisk is false: each epoch decodes them "
                + $"again and shuffles them within blocks of {set.BlockLength}. "
                + "To shuffle all of them together, raise MaxCacheBytes or set CacheOnDisk to true.");
        }
        return set;
    }

    private static Span<long> Values(Tensor tensor) => MemoryMarshal.Cast<byte, long>(tensor.bytes);

    private HashSet<long> Report(IHostEnvironment env, IDataView data, ReadOnlySpan<long> places, Action<SkippedImage>? skipped)
    {
        if (_invalid.Count == places.Length)
            throw new InvalidOperationException(
                $"Column '{_column.Name}': no image can be read. The problem of the first image: {_invalid[places[0]]}.");

        var (rows, problems) = (new List<long>(), new List<string>());
        for (var row = 0; row < places.Length; row++)
        {
            if (!_invalid.TryGetValue(places[row], out var problem))
                continue;
            rows.Add(row);
            problems.Add(problem);
        }
        SkippedImage[] images = [.. RowDescription.TextsOf(data, rows).Select((texts, i) => new SkippedImage(rows[i], texts, problems[i]))];
        using var channel = env.Start("Reading images");
        channel.Warning(MessageSensitivity.UserData,
            $"{images.Length} of {places.Length} images cannot be read and are left out. The first one: {images[0]}. "
            + "History.SkippedImages lists all of them.");
        foreach (var image in images)
        {
            channel.Info(MessageSensitivity.UserData, $"Left out: {image}.");
            skipped?.Invoke(image);
        }
        return [.. rows];
    }

    private InvalidOperationException DifferentRows() => new(
        $"The data gave other rows when it was read again. The first time, there were {_store.Count} rows. "
        + "It must give the same rows each time: set a seed for random steps, or cache the data.");

    /// <summary>The buffers that a thread reuses for each row.</summary>
    private sealed class Worker(ImageShape shape)
    {
        public RawImage Raw { get; } = new();

        public byte[] Scratch { get; } = new byte[shape.Length * sizeof(float)];

        public byte[] Values { get; } = new byte[shape.Length * sizeof(float)];
    }
}
