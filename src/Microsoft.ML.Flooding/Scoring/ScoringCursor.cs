using System.Runtime.ExceptionServices;
using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>
/// Serves the source's columns row by row while a reader runs ahead on the images, so that the network scores a batch at a time.
/// </summary>
internal sealed class ScoringCursor : DataViewRowCursor
{
    private readonly DataViewRowCursor _rows;
    private readonly ImageReader? _reader;
    private readonly ScoringSchema _schema;
    private readonly ImageClassifier _classifier;
    private readonly HashSet<int> _active;
    private readonly ValueGetter<DataViewRowId>? _rowId;
    private ImageRows? _scored;
    private int _index;
    private bool _disposed;

    /// <param name="rows">Over the source's columns that are asked for; owned from here on.</param>
    /// <param name="reader">Of the images in the same order, owned as well; null when no scored column is asked for.</param>
    /// <param name="active">The columns that are asked for.</param>
    /// <param name="schema">Input and output.</param>
    /// <param name="classifier">Scores.</param>
    public ScoringCursor(DataViewRowCursor rows, ImageReader? reader, IEnumerable<DataViewSchema.Column> active, ScoringSchema schema, ImageClassifier classifier)
    {
        _rows = rows;
        _reader = reader;
        _active = [.. active.Select(c => c.Index)];
        _schema = schema;
        _classifier = classifier;
        _rowId = reader is null ? null : rows.GetIdGetter();
    }

    public override DataViewSchema Schema => _schema.Output;

    public override long Position => _rows.Position;

    public override long Batch => _rows.Batch;

    public override ValueGetter<DataViewRowId> GetIdGetter() => _rows.GetIdGetter();

    public override bool IsColumnActive(DataViewSchema.Column column) => _active.Contains(column.Index);

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
    {
        if (!IsColumnActive(column))
            throw new InvalidOperationException($"Column '{column.Name}' was not among the columns that this cursor was made for.");
        return !_schema.IsScored(column)
            ? _rows.GetGetter<TValue>(_schema.Input[column.Index])
            : _schema.CreateGetter<TValue>(column, Probabilities);
    }

    public override bool MoveNext()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (!_rows.MoveNext())
            return false;
        if (_reader is null)
            return true;
        if (_scored is null || ++_index >= _scored.Count)
            ScoreNextRows();
        var id = default(DataViewRowId);
        _rowId!(ref id);
        if (!id.Equals(_scored!.Id(_index)))
            throw NotRepeatable();
        return true;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && !_disposed)
        {
            _disposed = true;
            try
            {
                _reader?.Dispose();
            }
            finally
            {
                _rows.Dispose();
            }
        }
        base.Dispose(disposing);
    }

    private ReadOnlySpan<float> Probabilities() => _scored is { } rows && Position >= 0
        ? rows.Probabilities(_index)
        : throw new InvalidOperationException("The cursor is at no row: MoveNext has to return true first.");

    private void ScoreNextRows()
    {
        if (_scored?.Failure is null)
        {
            _scored = _reader!.Take();
            _index = 0;
            if (_scored.Count > 0)
            {
                _scored.Score(_classifier);
                return;
            }
        }
        if (_scored.Failure is { } failure)
            ExceptionDispatchInfo.Throw(failure);
        throw NotRepeatable();
    }

    private InvalidOperationException NotRepeatable() => new(
        $"Two cursors over the data before '{_schema.Score.Name}' gave different rows, so that images and other columns cannot be matched. " +
        "Put mlContext.Data.Cache before scoring.");
}
