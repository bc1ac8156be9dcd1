using SkiaSharp;

namespace Microsoft.ML.Flooding.Images;

/// <summary>Turns pixels upright according to their EXIF orientation.</summary>
internal static unsafe class Orientation
{
    /// <summary>Whether the upright image has the width and height of the stored image swapped.</summary>
    public static bool IsSwapped(SKEncodedOrigin origin) => origin >= SKEncodedOrigin.LeftTop;

    /// <summary>The orientation of the stored pixels of a file.</summary>
    /// <param name="codec">The file's codec.</param>
    /// <param name="file">The same file.</param>
    public static SKEncodedOrigin Of(SKCodec codec, ReadOnlySpan<byte> file) =>
        codec.EncodedFormat == SKEncodedImageFormat.Png ? PngOrientation.Of(file) : codec.EncodedOrigin;

    /// <summary>
    /// Reads the orientation of a file's stored pixels; returns <see cref="SKEncodedOrigin.TopLeft"/> if the file has no image of this
    /// size.
    /// </summary>
    /// <param name="path">The file; null if it is not known.</param>
    /// <param name="width">The width of the stored pixels.</param>
    /// <param name="height">The height of the stored pixels.</param>
    public static SKEncodedOrigin Of(string? path, int width, int height)
    {
        using var data = File.Exists(path) ? SKData.Create(path) : null;
        using var codec = data is null ? null : SKCodec.Create(data);
        return codec?.Info is { } stored && (stored.Width, stored.Height) == (width, height)
            ? Of(codec, data!.AsSpan())
            : SKEncodedOrigin.TopLeft;
    }

    /// <summary>Resizes the <see cref="SourceArea"/> of stored four-channel pixels to an upright RGB image.</summary>
    public static void ResizeUpright(
        byte* stored, int storedWidth, int storedHeight, SKEncodedOrigin origin, double? centerCrop, bool isBgra, Span<byte> rgb,
        ImageShape shape)
    {
        // An image stored on its side has the target's width and height swapped.
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

    /// <summary>Turns a stored RGB image into the upright image of <paramref name="width"/> x <paramref name="height"/> pixels.</summary>
    public static void Upright(ReadOnlySpan<byte> stored, SKEncodedOrigin origin, Span<byte> upright, int width, int height)
    {
        var swapped = IsSwapped(origin);
        var isRowReversed = origin is SKEncodedOrigin.BottomRight or SKEncodedOrigin.BottomLeft
            or SKEncodedOrigin.RightTop or SKEncodedOrigin.RightBottom;
        var isColumnReversed = origin is SKEncodedOrigin.TopRight or SKEncodedOrigin.BottomRight
            or SKEncodedOrigin.RightBottom or SKEncodedOrigin.LeftBottom;
        var (storedWidth, storedHeight) = swapped ? (height, width) : (width, height);
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
            {
                // The origin names the sides of the upright image at which the stored image's first row and first column lie.
                var (row, column) = swapped ? (x, y) : (y, x);
                if (isRowReversed)
                    row = storedHeight - 1 - row;
                if (isColumnReversed)
                    column = storedWidth - 1 - column;
                stored.Slice(((row * storedWidth) + column) * 3, 3).CopyTo(upright[(((y * width) + x) * 3)..]);
            }
        }
    }
}
