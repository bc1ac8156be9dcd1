namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// The alpha of four-channel pixels. ML.NET's MLImage multiplies the colours by it; files hold the plain colours.
/// </summary>
internal static class Alpha
{
    private const int Bytes = 4;
    private const byte Opaque = 255;

    /// <summary>
    /// Divides the colours by their alpha, rounded; the colour of a pixel whose alpha is 0 is lost. Pixels of which one is brighter than
    /// its alpha were never multiplied (MLImage.CreateFromPixels takes them as they come), and stay as they are.
    /// </summary>
    public static void Unpremultiply(Span<byte> pixels)
    {
        if (!IsPremultiplied(pixels))
            return;
        for (var i = 0; i < pixels.Length; i += Bytes)
        {
            var alpha = pixels[i + 3];
            if (alpha is 0 or Opaque)
                continue;
            for (var c = i; c < i + 3; c++)
                pixels[c] = (byte)(((pixels[c] * Opaque) + (alpha / 2)) / alpha);
        }
    }

    /// <summary>Whether a pixel is translucent and none is brighter than its alpha.</summary>
    private static bool IsPremultiplied(ReadOnlySpan<byte> pixels)
    {
        var isTranslucent = false;
        for (var i = 0; i < pixels.Length; i += Bytes)
        {
            var alpha = pixels[i + 3];
            if (alpha == Opaque)
                continue;
            isTranslucent = true;
            if (pixels[i] > alpha || pixels[i + 1] > alpha || pixels[i + 2] > alpha)
                return false;
        }

        return isTranslucent;
    }
}
