using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>
/// Serves the source's columns row by row while a second cursor over the images runs a batch ahead, so that the network scores a batch at a time.
/// </summary>
internal sealed class ScoringCursor : DataViewRowCursor
{
    // A caller who takes a few rows only (Preview, TakeRows) should not pay for a full batch.
    private const int FirstBatchSize = 8;

    private readonly DataViewRowCursor _rows;
    private readonly DataViewRowCursor? _images;
    private readonly ScoringSchema _schema;
    private readonly ImageBatchScorer? _scorer;
    private readonly Action<RawImage>? _readImage;
    private readonly ValueGetter<DataViewRowId>? _rowId;
    private readonly ValueGetter<DataViewRowId>? _imageId;
    private readonly DataViewRowId[] _ids = [];
    private readonly int _maxBatchSize;
    private int _batchSize = FirstBatchSize;
    private int _count;
    private int _index;
    private bool _disposed;

    /// <param name="rows">Over the source's columns that are asked for.</param>
    /// <param name="images">Over the image column, in the same order; null when no scored column is asked for.</param>
    /// <param name="schema">Input and output.</param>
    /// <param name="classifier">Scores.</param>
    public ScoringCursor(DataViewRowCursor rows, DataViewRowCursor? images, ScoringSchema schema, ImageClassifier classifier)
    {
        _rows = rows;
        _images = images;
        _schema = schema;
        if (images is null)
            return;
        _maxBatchSize = classifier.BatchSize;
        _scorer = new ImageBatchScorer(classifier, schema.ImageColumn, ImageColumn.PixelTypeOf(schema.Feature.Type), _maxBatchSize);
        _ids = new DataViewRowId[_maxBatchSize];
        _readImage = schema.ImageColumn.CreateGetter(images);
        _rowId = rows.GetIdGetter();
        _imageId = images.GetIdGetter();
    }

    public override DataViewSchema Schema => _schema.Output;

    public override long Position => _rows.Position;

    public override long Batch => _rows.Batch;

    public override ValueGetter<DataViewRowId> GetIdGetter() => _rows.GetIdGetter();

    public override bool IsColumnActive(DataViewSchema.Column column) =>
        _schema.IsScored(column) ? _images is not null : _rows.IsColumnActive(_schema.Input[column.Index]);

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
    {
        if (!_schema.IsScored(column))
            return _rows.GetGetter<TValue>(_schema.Input[column.Index]);
        if (_scorer is null)
            throw new InvalidOperationException($"Column '{column.Name}' was not among the columns that this cursor was made for.");
        return ScoredRow.CreateGetter<TValue>(_schema, column, () => _scorer.Probabilities(_index));
    }

    public override bool MoveNext()
    {
        if (!_rows.MoveNext())
            return false;
        if (_images is null)
            return true;
        if (++_index >= _count)
            ScoreNextBatch();
        var id = default(DataViewRowId);
        _rowId!(ref id);
        if (!id.Equals(_ids[_index]))
            throw NotRepeatable();
        return true;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && !_disposed)
        {
            _disposed = true;
            _scorer?.Dispose();
            _images?.Dispose();
            _rows.Dispose();
        }
        base.Dispose(disposing);
    }

    private void ScoreNextBatch()
    {
        var first = _rows.Position;
        _count = 0;
        _index = 0;
        while (_count < _batchSize && _images!.MoveNext())
        {
            _readImage!(_scorer!.Row(_count));
            _imageId!(ref _ids[_count]);
            _count++;
        }
        if (_count == 0)
            throw NotRepeatable();
        _scorer!.Score(_count, i => $"row {first + i}");
        _batchSize = Math.Min(_batchSize * 2, _maxBatchSize);
    }

    private InvalidOperationException NotRepeatable() => new(
        $"Two cursors over the data before '{_schema.Score.Name}' gave different rows, so that images and other columns cannot be matched. " +
        "Put mlContext.Data.Cache before scoring.");
}
