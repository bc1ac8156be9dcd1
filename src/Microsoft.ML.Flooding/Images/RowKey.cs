namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// Where a row that came from one of several parallel cursors stands among all rows: batches are in order, every batch is one cursor's,
/// and a cursor's rows are in order.
/// </summary>
internal readonly record struct RowKey(long Batch, long Index) : IComparable<RowKey>
{
    /// <inheritdoc/>
    public int CompareTo(RowKey other) => Batch != other.Batch ? Batch.CompareTo(other.Batch) : Index.CompareTo(other.Index);
}
