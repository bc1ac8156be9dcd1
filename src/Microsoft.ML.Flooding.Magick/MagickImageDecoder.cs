using ImageMagick;

namespace Microsoft.ML.Flooding;

/// <summary>
/// Decodes HEIC, AVIF, TIFF, JPEG 2000 and JPEG XL files with Magick.NET. The library finds it if the application references the package.
/// </summary>
public sealed unsafe class MagickImageDecoder : ImageDecoder
{
    private const int BytesPerPixel = 4;

    // Magick would otherwise choose the format by the content, and it has formats that read other files or run programs.
    private static readonly Dictionary<string, MagickFormat> Formats = new()
    {
        ["image/heic"] = MagickFormat.Heic,
        ["image/avif"] = MagickFormat.Avif,
        ["image/tiff"] = MagickFormat.Tiff,
        ["image/jp2"] = MagickFormat.Jp2,
        ["image/j2c"] = MagickFormat.J2k,
        ["image/jxl"] = MagickFormat.Jxl,
    };

    /// <inheritdoc/>
    public override bool CanDecode(string mediaType) => Formats.ContainsKey(mediaType);

    /// <inheritdoc/>
    public override (int Width, int Height) ReadSize(ReadOnlySpan<byte> file, string mediaType)
    {
        try
        {
            var info = new MagickImageInfo();
            info.Read(file, Settings(mediaType));
            var (width, height) = (checked((int)info.Width), checked((int)info.Height));
            return info.Orientation >= Orientation.LeftTop ? (height, width) : (width, height);
        }
        catch (Exception e) when (e is MagickException or OverflowException)
        {
            throw Damaged(e);
        }
    }

    /// <inheritdoc/>
    public override void Decode(ReadOnlySpan<byte> file, string mediaType, Span<byte> rgba)
    {
        try
        {
            using var image = new MagickImage(file, Settings(mediaType));
            image.AutoOrient();
            ToRgb(image);
            if ((long)image.Width * image.Height * BytesPerPixel != rgba.Length)
                throw new InvalidDataException($"its image has {image.Width} x {image.Height} pixels, but its header gives another size");

            fixed (byte* start = rgba)
            {
                using var target = new UnmanagedMemoryStream(start, 0, rgba.Length, FileAccess.Write);
                image.Depth = 8;
                image.Write(target, MagickFormat.Rgba);
            }
        }
        catch (MagickException e)
        {
            throw Damaged(e);
        }
    }

    private static MagickReadSettings Settings(string mediaType) =>
        new() { Format = Formats[mediaType], FrameIndex = 0, FrameCount = 1 };

    /// <summary>Converts CMYK and Lab images. Profiles of RGB and gray images are ignored, as in JPEG and PNG files.</summary>
    private static void ToRgb(MagickImage image)
    {
        if (image.ColorSpace is ColorSpace.sRGB or ColorSpace.RGB or ColorSpace.Gray or ColorSpace.LinearGray or ColorSpace.Undefined)
            return;
        if (image.GetColorProfile() is null || !image.TransformColorSpace(ColorProfiles.SRGB))
            image.ColorSpace = ColorSpace.sRGB;
    }

    // The message ends in the place in Magick's source.
    private static InvalidDataException Damaged(Exception e) =>
        new($"it cannot be decoded ({e.Message.Split(" @ ")[0]})", e);
}
