using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>
/// Reads and decodes the images of a cursor on background threads, a few batches ahead of whoever takes them. No thread is held while there
/// is nothing to do, so an abandoned reader costs nothing but memory.
/// </summary>
internal sealed class ImageReader : IDisposable
{
    // One to take, one ready, one being filled.
    private const int Batches = 3;

    // A caller who takes a few rows only (Preview, TakeRows) should not pay for a full batch.
    private const int FirstBatchSize = 8;

    // A batch of photos as MLImages would be gigabytes: it ends early instead.
    private const long MostRawSize = 128 << 20;

    private readonly DataViewRowCursor _cursor;
    private readonly Func<RawImage, string?> _readImage;
    private readonly ValueGetter<DataViewRowId> _readId;
    private readonly Func<ImageRows> _create;
    private readonly Func<long, string, Exception>? _invalid;
    private readonly int _mostRows;
    private readonly Queue<Task<ImageRows>> _ahead = new();
    private readonly List<ImageRows> _all = [];
    private ImageRows? _taken;
    private Task _last = Task.CompletedTask;
    private volatile bool _stopped;

    // Of the background: one task follows the other.
    private int _batchSize;
    private long _next;
    private bool _ended;

    /// <param name="cursor">Over the image column; owned from here on.</param>
    /// <param name="column">Decodes.</param>
    /// <param name="create">Makes a batch of <paramref name="mostRows"/>.</param>
    /// <param name="mostRows">In a batch.</param>
    /// <param name="invalid">The error for a row (its number) without an image (the reason); null to let it pass.</param>
    public ImageReader(DataViewRowCursor cursor, ImageColumn column, Func<ImageRows> create, int mostRows, Func<long, string, Exception>? invalid)
    {
        _cursor = cursor;
        _readImage = column.CreateGetter(cursor);
        _readId = cursor.GetIdGetter();
        _create = create;
        _mostRows = mostRows;
        _invalid = invalid;
        _batchSize = Math.Min(FirstBatchSize, mostRows);
    }

    /// <summary>The next rows, valid until the next call: none at the end, and none but a failure where reading failed.</summary>
    public ImageRows Take()
    {
        if (_taken is null)
            Start();
        else
            Fill(_taken);
        return _taken = _ahead.Dequeue().GetAwaiter().GetResult();
    }

    /// <summary>Stops the background and waits for the row it is at.</summary>
    public void Dispose()
    {
        _stopped = true;
        try
        {
            // Read does not throw, so that this does not.
            _last.GetAwaiter().GetResult();
            foreach (var rows in _all)
                rows.Dispose();
        }
        finally
        {
            _cursor.Dispose();
        }
    }

    private void Start()
    {
        for (var i = 0; i < Batches; i++)
        {
            var rows = _create();
            _all.Add(rows);
            Fill(rows);
        }
    }

    private void Fill(ImageRows rows)
    {
        var filled = _last.ContinueWith(_ =>
        {
            Read(rows);
            return rows;
        }, CancellationToken.None, TaskContinuationOptions.DenyChildAttach, TaskScheduler.Default);
        _ahead.Enqueue(filled);
        _last = filled;
    }

    private void Read(ImageRows rows)
    {
        rows.Clear();
        Try(rows, ReadRows);
        if (!_stopped && !Try(rows, rows => rows.Decode()))
            rows.Truncate(0);
        if (!_stopped && !Try(rows, EndAtInvalid))
            rows.Truncate(0);
        _next += rows.Count;
        _batchSize = Math.Min(_batchSize * 2, _mostRows);
    }

    private void ReadRows(ImageRows rows)
    {
        var id = default(DataViewRowId);
        while (!_ended && !_stopped && rows.Count < _batchSize && rows.RawSize < MostRawSize)
        {
            if (!_cursor.MoveNext())
            {
                _ended = true;
                return;
            }
            _readId(ref id);
            rows.Read(_readImage, id);
        }
    }

    private void EndAtInvalid(ImageRows rows)
    {
        for (var i = 0; _invalid is not null && i < rows.Count; i++)
        {
            if (rows.Problem(i) is not { } problem)
                continue;
            var failure = _invalid(_next + i, problem);
            // The rows before it are good, and are served first.
            rows.Truncate(i);
            rows.Failure = failure;
            _ended = true;
        }
    }

    /// <summary>Whatever goes wrong in the background is thrown where the rows are taken.</summary>
    private bool Try(ImageRows rows, Action<ImageRows> step)
    {
        try
        {
            step(rows);
            return true;
        }
        catch (Exception e)
        {
            rows.Failure = e;
            _ended = true;
            return false;
        }
    }
}
