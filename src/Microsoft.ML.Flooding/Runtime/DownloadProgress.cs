namespace Microsoft.ML.Flooding;

/// <summary>The progress of a download.</summary>
/// <param name="Received">The bytes on disk, including those of earlier attempts.</param>
/// <param name="Total">The bytes of the whole file, or of all files of a data set.</param>
public readonly record struct DownloadProgress(long Received, long Total)
{
    /// <summary>The bytes received and the total, as one line.</summary>
    public override string ToString() => FormattableString.Invariant($"{Received:N0} of {Total:N0} bytes");
}
