using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Tests.Scoring;

/// <summary>A view whose Features getter throws in some rows, as LoadImages does at a broken file. It counts cursors and values.</summary>
internal sealed class BreakableView(IDataView source, int brokenEvery, int endsAt = int.MaxValue, bool textsFail = false) : IDataView
{
    private int _read;
    private int _open;

    public bool CanShuffle => source.CanShuffle;

    public DataViewSchema Schema => source.Schema;

    /// <summary>Values of Features read so far.</summary>
    public int FeaturesRead => Volatile.Read(ref _read);

    /// <summary>Cursors that are not yet disposed.</summary>
    public int OpenCursors => Volatile.Read(ref _open);

    public static bool IsBroken(int id, int brokenEvery) => brokenEvery > 0 && id % brokenEvery == brokenEvery - 1;

    public long? GetRowCount() => source.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        var columns = columnsNeeded.ToArray();
        if (textsFail && columns.Any(column => column.Type is TextDataViewType))
            throw new IOException("no texts on purpose");
        return new Cursor(
            this, source.GetRowCursor(columns.Append(Schema["Id"]).DistinctBy(c => c.Index), rand), [.. columns.Select(c => c.Index)]);
    }

    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
        [GetRowCursor(columnsNeeded, rand)];

    private sealed class Cursor : DataViewRowCursor
    {
        private readonly BreakableView _view;
        private readonly DataViewRowCursor _cursor;
        private readonly HashSet<int> _active;
        private readonly ValueGetter<int> _id;
        private bool _disposed;

        public Cursor(BreakableView view, DataViewRowCursor cursor, HashSet<int> active)
        {
            _view = view;
            _cursor = cursor;
            _active = active;
            _id = cursor.GetGetter<int>(cursor.Schema["Id"]);
            Interlocked.Increment(ref view._open);
        }

        public override DataViewSchema Schema => _cursor.Schema;

        public override long Position => _cursor.Position;

        public override long Batch => _cursor.Batch;

        public override ValueGetter<DataViewRowId> GetIdGetter() => _cursor.GetIdGetter();

        public override bool IsColumnActive(DataViewSchema.Column column) => _active.Contains(column.Index);

        public override bool MoveNext()
        {
            if (_cursor.Position + 1 >= _view.EndsAt)
                throw new IOException("The source is gone.");
            return _cursor.MoveNext();
        }

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
        {
            Assert.IsTrue(IsColumnActive(column), $"{column.Name} is not active.");
            var getter = _cursor.GetGetter<TValue>(column);
            if (column.Name != "Features")
                return getter;
            return (ref TValue value) =>
            {
                Interlocked.Increment(ref _view._read);
                var id = 0;
                _id(ref id);
                if (IsBroken(id, _view.BrokenEvery))
                    throw new IOException("broken on purpose");
                getter(ref value);
            };
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing && !_disposed)
            {
                _disposed = true;
                Interlocked.Decrement(ref _view._open);
                _cursor.Dispose();
            }
            base.Dispose(disposing);
        }
    }

    private int BrokenEvery => brokenEvery;

    private int EndsAt => endsAt;
}
