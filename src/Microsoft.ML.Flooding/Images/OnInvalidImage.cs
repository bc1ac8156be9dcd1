using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding;

/// <summary>What happens with a row whose image cannot be read: a broken file, an empty value, one over the pixel limit.</summary>
public enum OnInvalidImage
{
    /// <summary>An error that names the row and the reason.</summary>
    Throw,

    /// <summary>Training leaves the row out and logs it; scoring gives it NaN scores.</summary>
    Skip,
}

/// <summary>An image that training left out because it cannot be read (<see cref="OnInvalidImage.Skip"/>).</summary>
/// <param name="Row">The number of its row in the data, counted from 0.</param>
/// <param name="Texts">The values of the row's text columns by name; usually one of them is the file's path.</param>
/// <param name="Reason">Why it cannot be read.</param>
public sealed record SkippedImage(long Row, IReadOnlyDictionary<string, string> Texts, string Reason)
{
    /// <summary>Whether the row is one of the validation set rather than of the training data.</summary>
    public bool IsInValidationSet { get; internal init; }

    /// <summary>The row, its texts and the reason, as one line.</summary>
    public override string ToString() =>
        $"{(IsInValidationSet ? "validation set, " : "")}{RowDescription.Of($"row {Row}", Texts)}: {Reason}";
}
