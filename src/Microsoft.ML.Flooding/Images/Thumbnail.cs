using System.Runtime.InteropServices;
using SkiaSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>Small PNG pictures of images of a set.</summary>
internal static class Thumbnail
{
    private const int LongestSide = 96;
    private const int BatchSize = 64;

    /// <summary>Creates the pictures of some rows.</summary>
    /// <param name="set">The images. Values other than bytes are scaled to the range of the image.</param>
    /// <param name="rows">Row numbers; duplicates are allowed.</param>
    /// <returns>A PNG file for each row.</returns>
    public static IReadOnlyDictionary<long, byte[]> Create(ImageSet set, IEnumerable<long> rows)
    {
        using var scope = NewDisposeScope();
        var pictures = new Dictionary<long, byte[]>();
        long[] wanted = [.. rows.Distinct().Order()];
        if (wanted.Length == 0)
            return pictures;
        using var batches = set.Read(tensor(wanted), BatchSize, CPU);
        while (true)
        {
            using var batch = NewDisposeScope();
            if (!batches.MoveNext())
                return pictures;
            var found = batches.Current.Rows.data<long>().ToArray();
            for (var i = 0; i < found.Length; i++)
                pictures[found[i]] = Encode(ToBytes(batches.Current.Pixels[i]), set.Shape);
        }
    }

    /// <summary>Bytes [H, W, 3].</summary>
    private static byte[] ToBytes(Tensor pixels)
    {
        var values = pixels.to(ScalarType.Float32);
        if (pixels.dtype != ScalarType.Byte)
        {
            var (low, high) = (values.min().item<float>(), values.max().item<float>());
            values = values.sub(low).mul(high > low ? 255 / (high - low) : 0);
        }
        var colors = values.shape[2] == 3 ? values : values.mean([2L], true).expand(-1, -1, 3);
        return [.. colors.round().to(ScalarType.Byte).contiguous().data<byte>()];
    }

    private static byte[] Encode(byte[] colors, ImageShape shape)
    {
        using var bitmap = new SKBitmap(shape.Width, shape.Height, SKColorType.Rgba8888, SKAlphaType.Opaque);
        var pixels = new byte[4 * shape.Height * shape.Width];
        for (var i = 0; i < shape.Height * shape.Width; i++)
        {
            colors.AsSpan(3 * i, 3).CopyTo(pixels.AsSpan(4 * i));
            pixels[(4 * i) + 3] = byte.MaxValue;
        }
        Marshal.Copy(pixels, 0, bitmap.GetPixels(), pixels.Length);
        var scale = (double)LongestSide / Math.Max(shape.Width, shape.Height);
        if (scale >= 1)
            return Png(bitmap);
        using var small = bitmap.Resize(
            new SKImageInfo(Math.Max(1, (int)(shape.Width * scale)), Math.Max(1, (int)(shape.Height * scale))), SKFilterQuality.Medium);
        return Png(small);
    }

    private static byte[] Png(SKBitmap bitmap)
    {
        using var data = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        return data.ToArray();
    }
}
