using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Tests.Pipeline;

/// <summary>Wraps a view and counts what is read from it.</summary>
internal sealed class WatchedView(IDataView source) : IDataView
{
    /// <summary>Values read, by column.</summary>
    public Dictionary<string, int> Reads { get; } = [];

    /// <summary>The columns for which cursors were requested.</summary>
    public HashSet<string> Requested { get; } = [];

    public int Cursors { get; private set; }

    public bool CanShuffle => source.CanShuffle;

    public DataViewSchema Schema => source.Schema;

    public long? GetRowCount() => source.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        var columns = columnsNeeded.ToArray();
        Cursors++;
        Requested.UnionWith(columns.Select(c => c.Name));
        return new Cursor(source.GetRowCursor(columns, rand), Reads);
    }

    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
        [GetRowCursor(columnsNeeded, rand)];

    public void Forget()
    {
        Cursors = 0;
        Reads.Clear();
        Requested.Clear();
    }

    private sealed class Cursor(DataViewRowCursor source, Dictionary<string, int> reads) : DataViewRowCursor
    {
        public override DataViewSchema Schema => source.Schema;

        public override long Position => source.Position;

        public override long Batch => source.Batch;

        public override ValueGetter<DataViewRowId> GetIdGetter() => source.GetIdGetter();

        public override bool IsColumnActive(DataViewSchema.Column column) => source.IsColumnActive(column);

        public override bool MoveNext() => source.MoveNext();

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
        {
            var getter = source.GetGetter<TValue>(column);
            return (ref TValue value) =>
            {
                reads[column.Name] = reads.GetValueOrDefault(column.Name) + 1;
                getter(ref value);
            };
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                source.Dispose();
            base.Dispose(disposing);
        }
    }
}
