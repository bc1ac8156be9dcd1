using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding;

/// <summary>What to do with a row whose image cannot be read: a damaged file, an empty value, or an image over the pixel limit.</summary>
public enum OnInvalidImage
{
    /// <summary>Throws an error that names the row and the reason.</summary>
    Throw,

    /// <summary>Training leaves out the row and logs it. Scoring gives it scores of NaN.</summary>
    Skip,
}

/// <summary>An image that training left out because it could not be read (<see cref="OnInvalidImage.Skip"/>).</summary>
/// <param name="Row">The row number in the data, counted from 0.</param>
/// <param name="Texts">The values of the row's text columns, by column name. Usually one of them is the path of the file.</param>
/// <param name="Reason">Why the image could not be read.</param>
public sealed record SkippedImage(long Row, IReadOnlyDictionary<string, string> Texts, string Reason)
{
    /// <summary>Whether the row belongs to the validation set and not to the training data.</summary>
    public bool IsInValidationSet { get; internal init; }

    /// <summary>Returns the row, its texts and the reason as one line.</summary>
    public override string ToString() =>
        $"{(IsInValidationSet ? "validation set, " : "")}{RowDescription.Of($"row {Row}", Texts)}: {Reason}";
}
