namespace Microsoft.ML.Flooding.Images;

/// <summary>How an <see cref="ImageSet"/> is read and kept.</summary>
internal sealed record ImageSetOptions
{
    /// <summary>The column of the images' weights, Single; null: they have none.</summary>
    public string? WeightColumn { get; init; }

    /// <summary>The column whose value images share that a split must not part; null: there is none.</summary>
    public string? SamplingKeyColumn { get; init; }

    /// <summary>What happens with an image that cannot be read.</summary>
    public OnInvalidImage OnInvalidImage { get; init; }

    /// <summary>
    /// Sets that take more memory than this are kept on disk instead, or streamed. If not given: half of what is free, or, where the
    /// disk may not be used, <see cref="ImageSetLoader.DefaultStreamBytes"/>.
    /// </summary>
    public long? MaxCacheBytes { get; init; }

    /// <summary>Whether the disk may be used; if not, a set over the limit is read again in every epoch and shuffled only within blocks.</summary>
    public bool UseDisk { get; init; } = true;

    /// <summary>The folder of the temporary file; the system's if not given.</summary>
    public string? CacheFolder { get; init; }

    /// <summary>Told of every row left out, in their order.</summary>
    public Action<SkippedImage>? Skipped { get; init; }
}
