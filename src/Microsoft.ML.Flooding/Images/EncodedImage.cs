using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using SkiaSharp;

namespace Microsoft.ML.Flooding.Images;

/// <summary>Decodes image files to RGB of a given size. Colour profiles are not applied, alpha is dropped.</summary>
internal static unsafe class EncodedImage
{
    // Scaled JPEG decoding averages whole blocks; the resampler's filter has the last word as long as there is twice the target left.
    private const int ScaledDecodeMargin = 2;

    /// <summary>The size of the upright image, from the header.</summary>
    public static bool TryReadSize(
        ReadOnlySpan<byte> file, long maxPixels, out (int Width, int Height) size, [NotNullWhen(false)] out string? problem)
    {
        size = default;
        fixed (byte* start = file)
        {
            using var data = SKData.Create((nint)start, file.Length);
            if (!TryOpen(data, file.Length, maxPixels, out var codec, out var stored, out problem))
                return false;

            using var closing = codec;
            size = Orientation.IsSwapped(codec.EncodedOrigin) ? (stored.Height, stored.Width) : (stored.Width, stored.Height);
            return true;
        }
    }

    /// <summary>Decodes, turns upright, and resizes the <see cref="SourceArea"/> to <paramref name="shape"/>.</summary>
    public static bool TryDecode(
        ReadOnlySpan<byte> file, ImageShape shape, double? centerCrop, long maxPixels, Span<byte> rgb, [NotNullWhen(false)] out string? problem)
    {
        fixed (byte* start = file)
        {
            using var data = SKData.Create((nint)start, file.Length);
            if (!TryOpen(data, file.Length, maxPixels, out var codec, out var stored, out problem))
                return false;

            using var closing = codec;

            // As stored, an image lying on its side has the target's sides swapped.
            var origin = codec.EncodedOrigin;
            var (width, height) = Orientation.IsSwapped(origin) ? (shape.Height, shape.Width) : (shape.Width, shape.Height);
            var size = DecodedSize(codec, stored, centerCrop, width, height);
            var info = new SKImageInfo(size.Width, size.Height, SKColorType.Rgba8888,
                stored.AlphaType == SKAlphaType.Opaque ? SKAlphaType.Opaque : SKAlphaType.Unpremul);

            DecodingMemory.Shared.Take(info.BytesSize64);
            byte* rgba = null;
            try
            {
                rgba = (byte*)NativeMemory.Alloc(checked((nuint)info.BytesSize64));
                var result = codec.GetPixels(info, (nint)rgba);
                if (result != SKCodecResult.Success)
                {
                    problem = result == SKCodecResult.IncompleteInput ? "the file is cut short" : $"it cannot be decoded ({result})";
                    return false;
                }

                Orientation.ResizeUpright(rgba, size.Width, size.Height, origin, centerCrop, isBgra: false, rgb, shape);
                return true;
            }
            finally
            {
                NativeMemory.Free(rgba);
                DecodingMemory.Shared.Release(info.BytesSize64);
            }
        }
    }

    private static bool TryOpen(
        SKData data, int length, long maxPixels, [NotNullWhen(true)] out SKCodec? codec, out SKImageInfo stored,
        [NotNullWhen(false)] out string? problem)
    {
        // SKCodec.Info is worth asking once: every call looks the colour space up in a table that all threads share.
        codec = length == 0 ? null : SKCodec.Create(data);
        stored = codec?.Info ?? default;
        problem = length == 0 ? "it is empty (no file, or an empty one)"
            : codec is null ? ForeignImage.Describe(data.AsSpan())
            : (long)stored.Width * stored.Height > maxPixels
                ? $"it has {stored.Width} x {stored.Height} pixels, more than MaxPixels = {maxPixels}"
            : null;
        if (problem is not null)
        {
            codec?.Dispose();
            codec = null;
        }

        return problem is null;
    }

    private static SKSizeI DecodedSize(SKCodec codec, SKImageInfo stored, double? centerCrop, int width, int height)
    {
        bool IsEnough(SKSizeI size)
        {
            var area = SourceArea.Of(size.Width, size.Height, centerCrop, width, height);
            return area.Width >= ScaledDecodeMargin * width && area.Height >= ScaledDecodeMargin * height;
        }

        if (IsEnough(stored.Size) && codec.EncodedFormat == SKEncodedImageFormat.Jpeg)
        {
            for (var eighths = 1; eighths < 8; eighths++)
            {
                var size = codec.GetScaledDimensions(eighths / 8f);
                if (IsEnough(size))
                    return size;
            }
        }

        return stored.Size;
    }
}
