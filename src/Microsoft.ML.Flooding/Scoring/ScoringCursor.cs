using System.Runtime.ExceptionServices;
using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>
/// Returns the source's columns row by row, while a reader reads ahead in the image column so that the network scores a batch at a time.
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

    /// <param name="rows">A cursor over the requested columns of the source. This cursor owns it.</param>
    /// <param name="reader">Reads the images in the same order; null if no scored column is requested. This cursor owns it.</param>
    /// <param name="active">The requested columns.</param>
    /// <param name="schema">The schemas of input and output.</param>
    /// <param name="classifier">Scores the images.</param>
    public ScoringCursor(
        DataViewRowCursor rows, ImageReader? reader, IEnumerable<DataViewSchema.Column> active, ScoringSchema schema,
        ImageClassifier classifier)
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
            throw new InvalidOperationException(
                $"Column '{column.Name}' is not active in this cursor. Request it when you create the cursor.");
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
        : throw new InvalidOperationException("The cursor is not at a row. Call MoveNext, and read values only if it returns true.");

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
        $"Two cursors over the input of '{_schema.Score.Name}' returned different rows, so images cannot be matched with other columns. "
        + "Cache the data with mlContext.Data.Cache before scoring.");
}
