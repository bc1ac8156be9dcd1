using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using SkiaSharp;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// Image files that SkiaSharp does not read: decodes those that an <see cref="ImageDecoder"/> reads, and names the others.
/// </summary>
internal static unsafe class ForeignImage
{
    private const int BytesPerPixel = 4;

    // The decoder's own copy of the pixels, and the planes of the codec: JPEG 2000 has 32 bits for each channel.
    private const int DecoderBytesPerPixel = 16;

    /// <summary>Reads the size of the upright image from the header.</summary>
    public static bool TryReadSize(
        ReadOnlySpan<byte> file, long maxPixels, out (int Width, int Height) size, [NotNullWhen(false)] out string? problem) =>
        TryOpen(file, maxPixels, out _, out _, out size, out problem);

    /// <summary>Decodes the image and resizes its <see cref="SourceArea"/> to <paramref name="shape"/>.</summary>
    public static bool TryDecode(
        ReadOnlySpan<byte> file, ImageShape shape, double? centerCrop, long maxPixels, Span<byte> rgb,
        [NotNullWhen(false)] out string? problem)
    {
        if (!TryOpen(file, maxPixels, out var decoder, out var mediaType, out var size, out problem))
            return false;

        var pixels = (long)size.Width * size.Height;
        var memory = pixels * (BytesPerPixel + DecoderBytesPerPixel);
        DecodingMemory.Shared.Take(memory);
        byte* rgba = null;
        try
        {
            rgba = (byte*)NativeMemory.Alloc((nuint)(pixels * BytesPerPixel));
            decoder.Decode(file, mediaType, new Span<byte>(rgba, (int)(pixels * BytesPerPixel)));
            Orientation.ResizeUpright(rgba, size.Width, size.Height, SKEncodedOrigin.TopLeft, centerCrop, isBgra: false, rgb, shape);
        }
        catch (InvalidDataException e)
        {
            problem = e.Message;
        }
        finally
        {
            NativeMemory.Free(rgba);
            DecodingMemory.Shared.Release(memory);
        }
        return problem is null;
    }

    /// <summary>What is wrong with a file that cannot be decoded, and what to do if its format is known.</summary>
    private static string Describe(ReadOnlySpan<byte> file)
    {
        if (file.IsEmpty)
            return "it is empty (there is no file, or the file is empty)";
        if (file.StartsWith("version https://git-lfs."u8))
            return "it is a Git LFS pointer, not the image: run 'git lfs pull'";
        if (file.TrimStart("\uFEFF \t\r\n"u8) is var text && (text.StartsWith("<!DOCTYPE"u8) || text.StartsWith("<html"u8)))
            return "it is a web page, not an image: download the image again";
        return FormatOf(file) switch
        {
            { MediaType: not null } format => $"it is a {format.Name} file, which the package {ImageDecoder.Package} reads: run "
                + $"'dotnet add package {ImageDecoder.Package}', or convert it to JPEG or PNG",
            { } format => $"it is a {format.Name} file, a format that is not supported: convert it to JPEG or PNG",
            _ => "it is not a JPEG, PNG, WebP, GIF or BMP file, or it is damaged",
        };
    }

    private static bool TryOpen(
        ReadOnlySpan<byte> file, long maxPixels, [NotNullWhen(true)] out ImageDecoder? decoder, [NotNullWhen(true)] out string? mediaType,
        out (int Width, int Height) size, [NotNullWhen(false)] out string? problem)
    {
        size = default;
        mediaType = FormatOf(file)?.MediaType;
        decoder = mediaType is null ? null : ImageDecoder.Installed;
        if (mediaType is null || decoder?.CanDecode(mediaType) is not true)
        {
            problem = Describe(file);
            return false;
        }
        try
        {
            size = decoder.ReadSize(file, mediaType);
            problem = EncodedImage.Excess(size.Width, size.Height, Math.Min(maxPixels, int.MaxValue / BytesPerPixel));
        }
        catch (InvalidDataException e)
        {
            problem = e.Message;
        }
        return problem is null;
    }

    /// <summary>
    /// The name of the file's format, and its media type if the package of decoders reads it; null if the format is unknown.
    /// </summary>
    private static (string Name, string? MediaType)? FormatOf(ReadOnlySpan<byte> file) => file switch
    {
        // ISO media files: the brand follows the type of the first box.
        [_, _, _, _, (byte)'f', (byte)'t', (byte)'y', (byte)'p', (byte)'a', (byte)'v', (byte)'i', _, ..] => ("AVIF", "image/avif"),
        [_, _, _, _, (byte)'f', (byte)'t', (byte)'y', (byte)'p', (byte)'h' or (byte)'m', (byte)'e' or (byte)'i' or (byte)'s', _, _, ..]
            => ("HEIC", "image/heic"),
        [(byte)'I', (byte)'I', 42, 0, ..] or [(byte)'M', (byte)'M', 0, 42, ..] => ("TIFF", "image/tiff"),
        [0xFF, 0x0A, ..] or [0, 0, 0, 12, (byte)'J', (byte)'X', (byte)'L', (byte)' ', ..] => ("JPEG XL", "image/jxl"),
        [0, 0, 0, 12, (byte)'j', (byte)'P', (byte)' ', (byte)' ', ..] => ("JPEG 2000", "image/jp2"),
        [0xFF, 0x4F, 0xFF, 0x51, ..] => ("JPEG 2000", "image/j2c"),
        [(byte)'8', (byte)'B', (byte)'P', (byte)'S', ..] => ("Photoshop", null),
        [(byte)'%', (byte)'P', (byte)'D', (byte)'F', ..] => ("PDF", null),
        [(byte)'<', (byte)'s', (byte)'v', (byte)'g', ..] or [(byte)'<', (byte)'?', (byte)'x', (byte)'m', (byte)'l', ..]
            => ("SVG or XML", null),
        _ when file.Length >= 132 && file[128..132].SequenceEqual("DICM"u8) => ("DICOM", null),
        _ => null,
    };
}
