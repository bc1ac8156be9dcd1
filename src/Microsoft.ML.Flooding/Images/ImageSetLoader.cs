using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Microsoft.ML.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// Reads a view into a set. Every core takes the next row from the one cursor, under a lock, and decodes it into its place outside of
/// it: rows need no queue, and no more of them are in memory than there are cores.
/// </summary>
internal sealed class ImageSetLoader
{
    private readonly Lock _lock = new();
    private readonly ImageColumn _column;
    private readonly PixelStore _store;
    private readonly long[] _labels;
    private readonly string _labelColumn;
    private readonly OnInvalidImage _onInvalidImage;
    private readonly Action _checkAlive;
    private readonly SortedDictionary<long, string> _invalid = [];

    private long _next;
    private Exception? _failure;
    private volatile bool _stop;

    private ImageSetLoader(
        ImageColumn column, PixelStore store, long[] labels, string labelColumn, OnInvalidImage onInvalidImage, Action checkAlive)
    {
        _column = column;
        _store = store;
        _labels = labels;
        _labelColumn = labelColumn;
        _onInvalidImage = onInvalidImage;
        _checkAlive = checkAlive;
    }

    /// <inheritdoc cref="ImageSet.Load"/>
    public static ImageSet Load(
        IHostEnvironment env, IDataView data, string featureColumn, string labelColumn, ImageColumn column, ImageSetOptions options,
        Action checkAlive)
    {
        column = column with { Name = featureColumn };
        var labels = LabelReader.ReadAll(data, labelColumn, checkAlive);
        using var store = new MemoryStore(column.Shape, labels.Length);
        var loader = new ImageSetLoader(column, store, labels, labelColumn, options.OnInvalidImage, checkAlive);
        loader.ReadImages(data);
        if (options.OnInvalidImage == OnInvalidImage.Throw && loader._invalid.Count > 0)
        {
            var (row, problem) = loader._invalid.First();
            throw new InvalidOperationException(
                $"Column '{featureColumn}', {RowDescription.Of(data, row)}: the image cannot be read: {problem}. "
                + "Remove the row, or set OnInvalidImage to Skip.");
        }

        var kept = loader.LeaveOutInvalid();
        Report(env, loader._invalid, options.Skipped, labels.Length);
        return store.ToSet(tensor(kept, ScalarType.Int64).DetachFromDisposeScope());
    }

    private static void Report(IHostEnvironment env, SortedDictionary<long, string> invalid, Action<long, string>? skipped, long count)
    {
        if (invalid.Count == 0)
            return;

        using var channel = env.Start("Reading images");
        channel.Warning(MessageSensitivity.None, $"{invalid.Count} of {count} images cannot be read and were left out.");
        foreach (var (row, problem) in invalid)
        {
            channel.Trace(MessageSensitivity.UserData, $"Row {row} was left out: {problem}.");
            skipped?.Invoke(row, problem);
        }
    }

    private void ReadImages(IDataView data)
    {
        using var cursor = data.GetRowCursor([data.Schema[_column.Name], data.Schema[_labelColumn]]);
        var readImage = _column.CreateGetter(cursor);
        var readLabel = LabelReader.CreateGetter(cursor, _labelColumn);

        // Pixels as they are need a copy and no work: a second core would only wait for the lock. So the set is widened by one thread.
        var isDecoded = ImageColumn.KindOf(_column.Name, cursor.Schema[_column.Name].Type) is ImageKind.Encoded or ImageKind.Bitmap;
        var others = new Task[isDecoded ? Environment.ProcessorCount - 1 : 0];
        for (var i = 0; i < others.Length; i++)
            others[i] = Task.Factory.StartNew(Work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        Work();
        Task.WaitAll(others);

        if (_failure is not null)
            ExceptionDispatchInfo.Throw(_failure);
        if (!_stop && _next != _labels.Length)
            throw DifferentRows();

        void Work()
        {
            try
            {
                var worker = new Worker();
                while (!_stop && TryTake(cursor, readImage, readLabel, worker.Raw, out var row))
                    Write(row, worker);
            }
            catch (Exception e)
            {
                lock (_lock)
                    _failure ??= e;
                _stop = true;
            }
        }
    }

    private bool TryTake(DataViewRowCursor cursor, Action<RawImage> readImage, Func<long> readLabel, RawImage raw, out long row)
    {
        lock (_lock)
        {
            row = _next;
            if (_stop || !Read(() => cursor.MoveNext()))
                return false;
            if (row >= _labels.Length || readLabel() != _labels[row])
                throw DifferentRows();
            if (row % 64 == 0)
                _checkAlive();

            Read(() =>
            {
                readImage(raw);
                return true;
            });
            _next++;
            return true;
        }
    }

    /// <summary>What a cursor throws, LoadImages at a broken file for one, says neither row nor column.</summary>
    private bool Read(Func<bool> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw new InvalidOperationException(
                $"Column '{_column.Name}', about row {_next}: the data cannot be read: {e.GetBaseException().Message} "
                + "If LoadImages fails at a broken file, load with LoadRawImageBytes: that finds the row and can skip it (OnInvalidImage).",
                e);
        }
    }

    private void Write(long row, Worker worker)
    {
        var isMaybeByte = worker.Raw.Kind == ImageKind.Values && _store.PixelType == ScalarType.Byte;
        var pixels = isMaybeByte ? worker.Floats(_store.Shape) : _store.Place(row, ref worker.Scratch);
        if (!_column.TryDecode(worker.Raw, pixels, out var problem))
        {
            lock (_lock)
                _invalid.Add(row, problem);
            _stop |= _onInvalidImage == OnInvalidImage.Throw;
            return;
        }

        if (isMaybeByte)
        {
            var place = _store.Place(row, ref worker.Scratch);
            if (!TryNarrow(MemoryMarshal.Cast<byte, float>(pixels), place))
            {
                _store.Widen(row);
                place = _store.Place(row, ref worker.Scratch);
                pixels.CopyTo(place);
            }

            pixels = place;
        }

        _store.Commit(row, pixels);
    }

    private static bool TryNarrow(ReadOnlySpan<float> values, Span<byte> bytes)
    {
        for (var i = 0; i < values.Length; i++)
        {
            bytes[i] = (byte)values[i];
            if (bytes[i] != values[i])
                return false;
        }

        return true;
    }

    private long[] LeaveOutInvalid()
    {
        if (_invalid.Count == 0)
            return _labels;
        if (_invalid.Count == _labels.Length)
            throw new InvalidOperationException(
                $"Column '{_column.Name}': no image can be read; the first one's reason: {_invalid.First().Value}.");

        long[] rows = [.. Enumerable.Range(0, _labels.Length).Select(row => (long)row).Where(row => !_invalid.ContainsKey(row))];
        _store.Keep(rows);
        return [.. rows.Select(row => _labels[row])];
    }

    private InvalidOperationException DifferentRows() => new(
        $"The data gave other rows when read again (columns '{_labelColumn}' and '{_column.Name}', row {_next} of {_labels.Length}). "
        + "It must give the same rows in the same order every time: shuffle with a seed, or cache it.");

    /// <summary>What one thread reuses from row to row.</summary>
    private sealed class Worker
    {
        public byte[] Scratch = [];
        private byte[] _floats = [];

        public RawImage Raw { get; } = new();

        public Span<byte> Floats(ImageShape shape)
        {
            if (_floats.Length == 0)
                _floats = new byte[shape.Length * sizeof(float)];
            return _floats;
        }
    }
}
