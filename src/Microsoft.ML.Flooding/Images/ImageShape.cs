using System.Text.Json.Serialization;

namespace Microsoft.ML.Flooding.Images;

/// <summary>The shape of one image: <see cref="Height"/> x <see cref="Width"/> pixels of <see cref="Channels"/> values.</summary>
internal readonly record struct ImageShape(int Height, int Width, int Channels)
{
    /// <summary>The longest side of a model's images, in pixels.</summary>
    public const int LongestSide = ushort.MaxValue;

    /// <summary>The largest number of values in a model's image.</summary>
    public const int MostValues = 1 << 26;

    private const int MostChannels = 1024;

    /// <summary>Whether a model can have images of this shape.</summary>
    [JsonIgnore]
    public bool IsPossible =>
        Height is >= 1 and <= LongestSide && Width is >= 1 and <= LongestSide && Channels is >= 1 and <= MostChannels
        && (long)Height * Width * Channels <= MostValues;

    /// <summary>The number of values in an image.</summary>
    [JsonIgnore]
    public int Length => checked(Height * Width * Channels);

    /// <inheritdoc/>
    public override string ToString() => $"{Height} x {Width} x {Channels}";
}
