using System.Runtime.InteropServices;

namespace Microsoft.ML.Flooding.Images;

/// <summary>One of the parallel cursors over the columns of images and labels.</summary>
internal sealed class RowSource(DataViewRowCursor cursor, ImageColumn column, string labelColumn)
{
    private readonly Func<RawImage, string?> _readImage = column.CreateGetter(cursor);
    private readonly Func<long> _readLabel = LabelReader.CreateGetter(cursor, labelColumn);
    private int _index = -1;

    /// <summary>The current row's.</summary>
    public RowKey Key => new(cursor.Batch, _index);

    public bool MoveNext()
    {
        _index++;
        return cursor.MoveNext();
    }

    /// <summary>The class index; -1 where it is missing.</summary>
    public long ReadLabel() => _readLabel();

    /// <summary>Reads the image; the problem where it cannot be read.</summary>
    public string? TryRead(RawImage raw) => _readImage(raw);
}

/// <summary>
/// Where a row that came from one of several parallel cursors stands among all rows: batches are in order, every batch is one cursor's,
/// and a cursor's rows are in order. Packed, because there is one a row while a set is read.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = sizeof(int))]
internal readonly record struct RowKey(long Batch, int Index) : IComparable<RowKey>
{
    /// <inheritdoc/>
    public int CompareTo(RowKey other) => Batch != other.Batch ? Batch.CompareTo(other.Batch) : Index.CompareTo(other.Index);
}
