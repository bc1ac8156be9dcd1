
namespace Microsoft.ML.Flooding.Scoring;

/// <summary>A data view with the two scored columns; nothing is computed until a cursor asks for them.</summary>
internal sealed class ScoredDataView(IDataView source, ScoringSchema schema, ImageClassifier classifier) : IDataView
{
    public bool CanShuffle => source.CanShuffle;

    public DataViewSchema Schema => schema.Output;

    public long? GetRowCount() => source.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        var columns = columnsNeeded.ToArray();
        var passed = columns.Where(c => !schema.IsScored(c)).Select(c => source.Schema[c.Index]).ToArray();
        if (!columns.Any(schema.IsScored))
            return new ScoringCursor(source.GetRowCursor(passed, rand), null, schema, classifier);
        // Two cursors in the same order: one serves the other columns row by row, one runs ahead for the images of a batch.
        var seed = rand?.Next();
        return new ScoringCursor(
            source.GetRowCursor(passed, Shuffle()), source.GetRowCursor([source.Schema[schema.Feature.Index]], Shuffle()), schema, classifier);

        Random? Shuffle() => seed is { } s ? new Random(s) : null;
    }

    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
        [GetRowCursor(columnsNeeded, rand)];
}
