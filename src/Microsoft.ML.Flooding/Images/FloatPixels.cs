namespace Microsoft.ML.Flooding.Images;

/// <summary>Pixels that come as floats, most of which are bytes in truth.</summary>
internal static class FloatPixels
{
    /// <summary>Writes the values as bytes; false if one of them is not a whole number in 0..255.</summary>
    public static bool TryNarrow(ReadOnlySpan<float> values, Span<byte> bytes)
    {
        for (var i = 0; i < values.Length; i++)
        {
            bytes[i] = (byte)values[i];
            if (bytes[i] != values[i])
                return false;
        }

        return true;
    }
}
