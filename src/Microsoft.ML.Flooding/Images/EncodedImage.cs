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
            : codec is null ? "it is no JPEG, PNG, WebP, GIF or BMP file, or a broken one"
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

/// <summary>
/// Bounds the memory of the images that are being decoded at once: an image at the default pixel limit takes 400 MB, and every core
/// decodes one. What does not fit waits for the others; an image larger than the bound is decoded alone.
/// </summary>
internal sealed class DecodingMemory(long bytes)
{
    // Below it, as many images as there are cores are no burden, and a lock would cost more than it saves.
    private const long Small = 1 << 20;

    private readonly object _gate = new();
    private long _taken;

    /// <summary>Of the process: an eighth of the memory there is, but at least 512 MiB.</summary>
    public static DecodingMemory Shared { get; } = new(Math.Max(512L << 20, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 8));

    /// <summary>Waits until an image fits.</summary>
    public void Take(long length)
    {
        if (length <= Small)
            return;
        lock (_gate)
        {
            while (_taken > 0 && _taken + length > bytes)
                Monitor.Wait(_gate);
            _taken += length;
        }
    }

    /// <summary>Gives back what <see cref="Take"/> took.</summary>
    public void Release(long length)
    {
        if (length <= Small)
            return;
        lock (_gate)
        {
            _taken -= length;
            Monitor.PulseAll(_gate);
        }
    }
}
