using System.Text.Json.Serialization;

namespace Microsoft.ML.Flooding.Images;

/// <summary>The shape of one image: <see cref="Height"/> x <see cref="Width"/> pixels of <see cref="Channels"/> values.</summary>
internal readonly record struct ImageShape(int Height, int Width, int Channels)
{
    /// <summary>Values in one image.</summary>
    [JsonIgnore]
    public int Length => checked(Height * Width * Channels);

    /// <inheritdoc/>
    public override string ToString() => $"{Height} x {Width} x {Channels}";
}
