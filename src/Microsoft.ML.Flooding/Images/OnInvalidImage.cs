namespace Microsoft.ML.Flooding;

/// <summary>What happens with a row whose image cannot be read: a broken file, an empty value, one over the pixel limit.</summary>
public enum OnInvalidImage
{
    /// <summary>An error that names the row and the reason.</summary>
    Throw,

    /// <summary>Training leaves the row out and logs it; scoring gives it NaN scores.</summary>
    Skip,
}
