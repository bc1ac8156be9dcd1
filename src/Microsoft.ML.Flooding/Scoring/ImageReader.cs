using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>
/// Reads and decodes the images of a cursor on background threads, a few batches ahead of the caller. It holds no thread while it is idle,
/// so a reader that is never disposed of costs only memory.
/// </summary>
internal sealed class ImageReader : IDisposable
{
    // One in use by the caller, one ready, one being filled.
    private const int Batches = 3;

    // A caller that takes only a few rows (Preview, TakeRows) should not pay for a full batch.
    private const int FirstBatchSize = 8;

    // A full batch of photos as MLImages would take gigabytes, so the batch ends early.
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

    // Used only by the background tasks, which run one after the other.
    private int _batchSize;
    private long _next;
    private bool _ended;

    /// <param name="cursor">A cursor over the image column. The reader owns it.</param>
    /// <param name="column">How to read an image.</param>
    /// <param name="create">Creates a batch of <paramref name="mostRows"/> rows.</param>
    /// <param name="mostRows">The largest number of rows in a batch.</param>
    /// <param name="invalid">
    /// Creates the error for a row without an image from the row number and the problem; null to accept such rows.
    /// </param>
    public ImageReader(
        DataViewRowCursor cursor, ImageColumn column, Func<ImageRows> create, int mostRows, Func<long, string, Exception>? invalid)
    {
        _cursor = cursor;
        _readImage = column.CreateGetter(cursor);
        _readId = cursor.GetIdGetter();
        _create = create;
        _mostRows = mostRows;
        _invalid = invalid;
        _batchSize = Math.Min(FirstBatchSize, mostRows);
    }

    /// <summary>
    /// Returns the next rows, which are valid until the next call. There are no rows at the end of the data, and no rows but a failure if
    /// reading failed.
    /// </summary>
    public ImageRows Take()
    {
        if (_taken is null)
            Start();
        else
            Fill(_taken);
        return _taken = _ahead.Dequeue().GetAwaiter().GetResult();
    }

    /// <summary>Stops the background tasks and waits for the current row.</summary>
    public void Dispose()
    {
        _stopped = true;
        try
        {
            // Read does not throw, so this does not throw either.
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
            // The rows before it are valid, and are returned first.
            rows.Truncate(i);
            rows.Failure = failure;
            _ended = true;
        }
    }

    /// <summary>Runs a step. The caller that takes the rows gets its exception.</summary>
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
