using System.Runtime.InteropServices;

namespace Microsoft.ML.Flooding.Images;

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
