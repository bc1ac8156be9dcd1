using System.Runtime.InteropServices;

namespace Microsoft.ML.Flooding.Images;

/// <summary>One of the parallel cursors over the image column and the label column.</summary>
internal sealed class RowSource(DataViewRowCursor cursor, ImageColumn column, string labelColumn)
{
    private readonly Func<RawImage, string?> _readImage = column.CreateGetter(cursor);
    private readonly Func<long> _readLabel = LabelReader.CreateGetter(cursor, labelColumn);
    private int _index = -1;

    /// <summary>The key of the current row.</summary>
    public RowKey Key => new(cursor.Batch, _index);

    public bool MoveNext()
    {
        _index++;
        return cursor.MoveNext();
    }

    /// <summary>Reads the class index; -1 if the label is missing.</summary>
    public long ReadLabel() => _readLabel();

    /// <summary>Reads the image; returns null, or the problem if it cannot be read.</summary>
    public string? TryRead(RawImage raw) => _readImage(raw);
}

/// <summary>
/// The position of a row among the rows of several parallel cursors: batches are in order, each batch belongs to one cursor, and the rows
/// of a cursor are in order. Packed, because the loader keeps one for each row.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = sizeof(int))]
internal readonly record struct RowKey(long Batch, int Index) : IComparable<RowKey>
{
    /// <inheritdoc/>
    public int CompareTo(RowKey other) => Batch != other.Batch ? Batch.CompareTo(other.Batch) : Index.CompareTo(other.Index);
}
