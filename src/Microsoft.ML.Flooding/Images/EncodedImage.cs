using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using SkiaSharp;

namespace Microsoft.ML.Flooding.Images;

/// <summary>Decodes image files to RGB of a given size. It ignores color profiles and drops alpha.</summary>
internal static unsafe class EncodedImage
{
    // Scaled JPEG decoding averages whole blocks. Keeping at least twice the target size leaves the final filtering to the resampler.
    private const int ScaledDecodeMargin = 2;

    /// <summary>Reads the size of the upright image from the header.</summary>
    public static bool TryReadSize(
        ReadOnlySpan<byte> file, long maxPixels, out (int Width, int Height) size, [NotNullWhen(false)] out string? problem)
    {
        size = default;
        fixed (byte* start = file)
        {
            using var data = SKData.Create((nint)start, file.Length);
            using var codec = file.IsEmpty ? null : SKCodec.Create(data);
            if (codec is null)
                return ForeignImage.TryReadSize(file, maxPixels, out size, out problem);

            // Read SKCodec.Info once: each call looks up the color space in a table that all threads share.
            var stored = codec.Info;
            size = Orientation.IsSwapped(Orientation.Of(codec, file)) ? (stored.Height, stored.Width) : (stored.Width, stored.Height);
            problem = Excess(stored.Width, stored.Height, maxPixels);
            return problem is null;
        }
    }

    /// <summary>Decodes the image, turns it upright and resizes its <see cref="SourceArea"/> to <paramref name="shape"/>.</summary>
    public static bool TryDecode(
        ReadOnlySpan<byte> file, ImageShape shape, double? centerCrop, long maxPixels, Span<byte> rgb,
        [NotNullWhen(false)] out string? problem)
    {
        fixed (byte* start = file)
        {
            using var data = SKData.Create((nint)start, file.Length);
            using var codec = file.IsEmpty ? null : SKCodec.Create(data);
            if (codec is null)
                return ForeignImage.TryDecode(file, shape, centerCrop, maxPixels, rgb, out problem);

            var stored = codec.Info;
            problem = Excess(stored.Width, stored.Height, maxPixels);
            if (problem is not null)
                return false;

            // An image stored on its side has the target's width and height swapped.
            var origin = Orientation.Of(codec, file);
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
                    problem = result == SKCodecResult.IncompleteInput ? "the file is truncated" : $"it cannot be decoded ({result})";
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

    /// <summary>The problem of an image with more pixels than the limit; null if it has no more.</summary>
    internal static string? Excess(int width, int height, long maxPixels) => (long)width * height > maxPixels
        ? $"it has {width} x {height} pixels, more than MaxPixels = {maxPixels}"
        : null;

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
/// Limits the memory of the images that are decoded at the same time: an image at the default pixel limit takes 400 MB, and each core
/// decodes one. An image that does not fit waits for the others; an image larger than the limit is decoded alone.
/// </summary>
internal sealed class DecodingMemory(long bytes)
{
    // Smaller images are not counted: one for each core takes little memory, and a lock would cost more than it saves.
    private const long Small = 1 << 20;

    private readonly object _gate = new();
    private long _taken;

    /// <summary>The limit of this process: an eighth of the available memory, but at least 512 MiB.</summary>
    public static DecodingMemory Shared { get; } = new(Math.Max(512L << 20, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 8));

    /// <summary>Waits until an image of <paramref name="length"/> bytes fits, and reserves its memory.</summary>
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

    /// <summary>Releases what <see cref="Take"/> reserved.</summary>
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
