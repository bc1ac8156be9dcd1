using SkiaSharp;

namespace Microsoft.ML.Flooding.Images;

/// <summary>Turns RGB pixels upright by the eight EXIF orientations.</summary>
internal static class Orientation
{
    /// <summary>Writes the upright image of <paramref name="width"/> x <paramref name="height"/>.</summary>
    public static void Upright(ReadOnlySpan<byte> stored, SKEncodedOrigin origin, Span<byte> upright, int width, int height)
    {
        var swapped = origin >= SKEncodedOrigin.LeftTop;
        var (storedWidth, storedHeight) = swapped ? (height, width) : (width, height);
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
            {
                // The origin names where the stored image's first row and first column lie in the upright one.
                var (row, column) = swapped ? (x, y) : (y, x);
                if (origin is SKEncodedOrigin.BottomRight or SKEncodedOrigin.BottomLeft or SKEncodedOrigin.RightTop or SKEncodedOrigin.RightBottom)
                    row = storedHeight - 1 - row;
                if (origin is SKEncodedOrigin.TopRight or SKEncodedOrigin.BottomRight or SKEncodedOrigin.RightBottom or SKEncodedOrigin.LeftBottom)
                    column = storedWidth - 1 - column;
                stored.Slice(((row * storedWidth) + column) * 3, 3).CopyTo(upright[(((y * width) + x) * 3)..]);
            }
        }
    }
}
