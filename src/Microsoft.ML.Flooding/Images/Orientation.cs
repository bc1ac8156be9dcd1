using SkiaSharp;

namespace Microsoft.ML.Flooding.Images;

/// <summary>Turns pixels upright by the eight EXIF orientations.</summary>
internal static unsafe class Orientation
{
    /// <summary>Whether the upright image is as wide as the stored one is high.</summary>
    public static bool IsSwapped(SKEncodedOrigin origin) => origin >= SKEncodedOrigin.LeftTop;

    /// <summary>
    /// The orientation of the pixels of a file, as they are stored; <see cref="SKEncodedOrigin.TopLeft"/> where there is no such image.
    /// </summary>
    /// <param name="path">The file; null where it is not known.</param>
    /// <param name="width">Of the pixels, as they are stored.</param>
    /// <param name="height">Of the pixels, as they are stored.</param>
    public static SKEncodedOrigin Of(string? path, int width, int height)
    {
        using var codec = File.Exists(path) ? SKCodec.Create(path) : null;
        return codec?.Info is { } stored && (stored.Width, stored.Height) == (width, height)
            ? codec.EncodedOrigin
            : SKEncodedOrigin.TopLeft;
    }

    /// <summary>Resizes the <see cref="SourceArea"/> of four-channel pixels, as they are stored, to an upright RGB image.</summary>
    public static void ResizeUpright(
        byte* stored, int storedWidth, int storedHeight, SKEncodedOrigin origin, double? centerCrop, bool isBgra, Span<byte> rgb,
        ImageShape shape)
    {
        // As stored, an image lying on its side has the target's sides swapped.
        var (width, height) = IsSwapped(origin) ? (shape.Height, shape.Width) : (shape.Width, shape.Height);
        var area = SourceArea.Of(storedWidth, storedHeight, centerCrop, width, height);
        if (origin == SKEncodedOrigin.TopLeft)
        {
            Resampler.Resize(stored, storedWidth, area, isBgra, rgb, width, height);
            return;
        }

        var lying = new byte[shape.Length];
        Resampler.Resize(stored, storedWidth, area, isBgra, lying, width, height);
        Upright(lying, origin, rgb, shape.Width, shape.Height);
    }

    /// <summary>Writes the upright RGB image of <paramref name="width"/> x <paramref name="height"/>.</summary>
    public static void Upright(ReadOnlySpan<byte> stored, SKEncodedOrigin origin, Span<byte> upright, int width, int height)
    {
        var swapped = IsSwapped(origin);
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
