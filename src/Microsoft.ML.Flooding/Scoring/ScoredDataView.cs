using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>A data view with the two scored columns. It computes nothing until a cursor requests them.</summary>
internal class ScoredDataView(IDataView source, ScoringSchema schema, ImageClassifier classifier) : IDataView
{
    /// <summary>The data to score.</summary>
    public IDataView Source => source;

    public bool CanShuffle => source.CanShuffle;

    public DataViewSchema Schema => schema.Output;

    protected ScoringSchema Columns => schema;

    protected ImageClassifier Classifier => classifier;

    public long? GetRowCount() => source.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        var columns = columnsNeeded.ToArray();
        var passed = Passed(columns);
        if (!columns.Any(schema.IsScored))
            return new ScoringCursor(source.GetRowCursor(passed, rand), null, columns, schema, classifier);
        classifier.ThrowIfDisposed();

        // Two cursors in the same order: one returns the other columns row by row, the other reads ahead in the image column.
        var seed = rand?.Next();
        var rows = source.GetRowCursor(passed, Shuffle());
        DataViewRowCursor? images = null;
        try
        {
            images = source.GetRowCursor([source.Schema[schema.Feature.Index]], Shuffle());
            return new ScoringCursor(rows, CreateReader(images, seed), columns, schema, classifier);
        }
        catch
        {
            images?.Dispose();
            rows.Dispose();
            throw;
        }

        Random? Shuffle() => seed is { } s ? new Random(s) : null;
    }

    /// <summary>
    /// Returns one cursor if scores are requested: it keeps all cores busy, and two sets of cursors may split the rows in different ways.
    /// </summary>
    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null)
    {
        var columns = columnsNeeded.ToArray();
        return columns.Any(schema.IsScored)
            ? [GetRowCursor(columns, rand)]
            : Array.ConvertAll(
                source.GetRowCursorSet(Passed(columns), n, rand), rows => new ScoringCursor(rows, null, columns, schema, classifier));
    }

    private DataViewSchema.Column[] Passed(DataViewSchema.Column[] columns) =>
        [.. columns.Where(c => !schema.IsScored(c)).Select(c => source.Schema[c.Index])];

    private ImageReader CreateReader(DataViewRowCursor images, int? seed)
    {
        var batchSize = classifier.BatchSize;
        return new ImageReader(
            images, schema.ImageColumn, () => new ImageRows(schema.ImageColumn, schema.Feature.Type, classifier.Classes, batchSize),
            batchSize, schema.OnInvalidImage == OnInvalidImage.Throw ? Invalid : null);

        Exception Invalid(long row, string problem) =>
            schema.InvalidImage(seed is { } s ? RowDescription.Of(source, row, new Random(s)) : RowDescription.Of(source, row), problem);
    }
}
