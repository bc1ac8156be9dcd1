using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>Scores one row at a time, for a PredictionEngine.</summary>
internal sealed class RowScorer(ScoringSchema schema, ImageClassifier classifier) : IRowToRowMapper
{
    public DataViewSchema InputSchema => schema.Input;

    public DataViewSchema OutputSchema => schema.Output;

    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns) =>
        schema.Dependencies(dependingColumns);

    public DataViewRow GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns)
    {
        if (input.Schema != schema.Input)
            throw new ArgumentException(
                "The schema of the row differs from the schema that this mapper was created for. Pass rows of the same schema.",
                nameof(input));
        return new Row(input, schema, classifier, [.. activeColumns.Select(c => c.Index)]);
    }

    private sealed class Row : DataViewRow
    {
        private readonly DataViewRow _input;
        private readonly ScoringSchema _schema;
        private readonly HashSet<int> _active;
        private readonly ImageClassifier _classifier;
        private readonly ImageRows? _image;
        private readonly Func<RawImage, string?>? _readImage;
        private long _scoredPosition = -1;
        private bool _disposed;

        public Row(DataViewRow input, ScoringSchema schema, ImageClassifier classifier, HashSet<int> active)
        {
            _input = input;
            _schema = schema;
            _active = active;
            _classifier = classifier;
            if (!active.Any(i => schema.IsScored(schema.Output[i])))
                return;
            _image = new ImageRows(schema.ImageColumn, schema.Feature.Type, classifier.Classes, 1);
            _readImage = schema.ImageColumn.CreateGetter(input);
        }

        public override DataViewSchema Schema => _schema.Output;

        public override long Position => _input.Position;

        public override long Batch => _input.Batch;

        public override ValueGetter<DataViewRowId> GetIdGetter() => _input.GetIdGetter();

        public override bool IsColumnActive(DataViewSchema.Column column) => _active.Contains(column.Index);

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
        {
            if (!IsColumnActive(column))
                throw new InvalidOperationException(
                    $"Column '{column.Name}' is not active in this row. Request it when you create the row.");
            return !_schema.IsScored(column)
                ? _input.GetGetter<TValue>(_schema.Input[column.Index])
                : _schema.CreateGetter<TValue>(column, Probabilities);
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing && !_disposed)
            {
                _disposed = true;
                _image?.Dispose();
                _input.Dispose();
            }
            base.Dispose(disposing);
        }

        /// <summary>Scores a row once for both columns. A row without a position is scored each time.</summary>
        private ReadOnlySpan<float> Probabilities()
        {
            if (_scoredPosition < 0 || _scoredPosition != _input.Position)
            {
                ObjectDisposedException.ThrowIf(_disposed, this);
                // After a failure, the scores of the previous row must not remain.
                _scoredPosition = -1;
                _image!.Clear();
                _image.Read(_readImage!, default);
                _image.Decode();
                if (_schema.OnInvalidImage == OnInvalidImage.Throw && _image.Problem(0) is { } problem)
                    throw _schema.InvalidImage(RowDescription.Of("the row to predict", _input), problem);
                _image.Score(_classifier);
                _scoredPosition = _input.Position;
            }
            return _image!.Probabilities(0);
        }
    }
}
