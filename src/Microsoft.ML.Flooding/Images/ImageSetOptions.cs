namespace Microsoft.ML.Flooding.Images;

/// <summary>How an <see cref="ImageSet"/> is read and kept.</summary>
internal sealed record ImageSetOptions
{
    /// <summary>What happens with an image that cannot be read.</summary>
    public OnInvalidImage OnInvalidImage { get; init; }

    /// <summary>Told of every row left out: its number in the data and why.</summary>
    public Action<long, string>? Skipped { get; init; }
}
