using System.Text.Json.Serialization;

namespace Microsoft.ML.Flooding.Images;

/// <summary>The shape of one image: <see cref="Height"/> x <see cref="Width"/> pixels of <see cref="Channels"/> values.</summary>
internal readonly record struct ImageShape(int Height, int Width, int Channels)
{
    /// <summary>The longest side that a model can have.</summary>
    public const int LongestSide = ushort.MaxValue;

    /// <summary>The most values that an image of a model can have.</summary>
    public const int MostValues = 1 << 26;

    private const int MostChannels = 1024;

    /// <summary>Whether a model can have images of it.</summary>
    [JsonIgnore]
    public bool IsPossible =>
        Height is >= 1 and <= LongestSide && Width is >= 1 and <= LongestSide && Channels is >= 1 and <= MostChannels
        && (long)Height * Width * Channels <= MostValues;

    /// <summary>Values in one image.</summary>
    [JsonIgnore]
    public int Length => checked(Height * Width * Channels);

    /// <inheritdoc/>
    public override string ToString() => $"{Height} x {Width} x {Channels}";
}
