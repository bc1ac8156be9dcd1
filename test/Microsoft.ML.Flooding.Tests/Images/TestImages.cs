using Microsoft.ML.Data;
using SkiaSharp;

namespace Microsoft.ML.Flooding.Tests.Images;

/// <summary>Rows of images and labels to read.</summary>
internal static class TestImages
{
    public static readonly MLContext Context = new(seed: 1);

    /// <summary>Pixels that differ at every place and in every channel.</summary>
    public static byte[] Rgb(int width, int height, int seed = 0)
    {
        var pixels = new byte[width * height * 3];
        new Random(seed).NextBytes(pixels);
        return pixels;
    }

    /// <summary>A smooth image, which lossy compression changes little.</summary>
    public static byte[] Gradient(int width, int height)
    {
        var pixels = new byte[width * height * 3];
        for (var i = 0; i < width * height; i++)
        {
            pixels[i * 3] = (byte)(i % width * 255 / width);
            pixels[(i * 3) + 1] = (byte)(i / width * 255 / height);
            pixels[(i * 3) + 2] = (byte)(((i % width) + (i / width)) * 255 / (width + height));
        }

        return pixels;
    }

    public static byte[] Rgba(byte[] rgb, byte alpha = 255) =>
        [.. rgb.Chunk(3).SelectMany(pixel => new[] { pixel[0], pixel[1], pixel[2], alpha })];

    public static unsafe byte[] Encode(byte[] rgb, int width, int height, SKEncodedImageFormat format, int quality = 100, byte alpha = 255)
    {
        fixed (byte* pixels = Rgba(rgb, alpha))
        {
            var info = new SKImageInfo(width, height, SKColorType.Rgba8888, SKAlphaType.Unpremul);
            using var pixmap = new SKPixmap(info, (nint)pixels);
            using var data = pixmap.Encode(format, quality);
            return data.ToArray();
        }
    }

    public static byte[] Png(byte[] rgb, int width, int height) => Encode(rgb, width, height, SKEncodedImageFormat.Png);

    /// <summary>The JPEG, PNG or lossy WebP file with an EXIF orientation, 1 to 8.</summary>
    public static byte[] WithOrientation(byte[] file, byte orientation)
    {
        byte[] exif = [.. "MM"u8, 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
        if (file is [0xff, 0xd8, ..])
            return [.. file[..2], 0xff, 0xe1, 0, 34, .. "Exif\0\0"u8, .. exif, .. file[2..]];

        // No reader looks at the checksum of the chunk. The first chunk of a PNG takes 25 bytes.
        if (file is [0x89, ..])
            return [.. file[..33], 0, 0, 0, (byte)exif.Length, .. "eXIf"u8, .. exif, 0, 0, 0, 0, .. file[33..]];

        // A simple WebP file has one chunk, whose content gives the width at place 6 and the height at place 8.
        byte[] extended =
        [
            .. "WEBP"u8, .. "VP8X"u8, 10, 0, 0, 0, 0x08, 0, 0, 0, (byte)(file[26] - 1), 0, 0, (byte)(file[28] - 1), 0, 0, .. file[12..],
            .. "EXIF"u8, (byte)exif.Length, 0, 0, 0, .. exif,
        ];
        return [.. "RIFF"u8, .. BitConverter.GetBytes(extended.Length), .. extended];
    }

    /// <summary>A view with the columns Path, Features (variable-length bytes) and Label (a key).</summary>
    public static IDataView EncodedView(IEnumerable<byte[]> files, int classes = 2) => WithKey(
        Context.Data.LoadFromEnumerable(
            files.Select((file, i) => new EncodedRow { Path = $"{i}.png", Features = file, Class = i % classes })));

    /// <summary>A view of float pixels.</summary>
    public static IDataView FloatView(float[][] rows, int classes = 2) => WithKey(Context.Data.LoadFromEnumerable(
        rows.Select((row, i) => new FloatRow { Features = row, Class = i % classes }),
        Sized<FloatRow>(NumberDataViewType.Single, rows[0].Length)));

    /// <summary>A view of byte pixels.</summary>
    public static IDataView ByteView(byte[][] rows, int classes = 2, DataViewType? type = null) => WithKey(Context.Data.LoadFromEnumerable(
        rows.Select((row, i) => new EncodedRow { Path = $"{i}", Features = row, Class = i % classes }),
        Sized<EncodedRow>(NumberDataViewType.Byte, rows[0].Length, type)));

    /// <summary>A view of MLImages.</summary>
    public static IDataView BitmapView(IEnumerable<MLImage?> images, int classes = 2) => WithKey(
        Context.Data.LoadFromEnumerable(images.Select((image, i) => new BitmapRow { Features = image, Class = i % classes })));

    public static IDataView WithKey(IDataView data) =>
        Context.Transforms.Conversion.MapValueToKey(
            "Label", "Class", keyOrdinality: Transforms.ValueToKeyMappingEstimator.KeyOrdinality.ByValue)
            .Fit(data).Transform(data);

    private static SchemaDefinition Sized<T>(PrimitiveDataViewType item, int size, DataViewType? type = null)
    {
        var schema = SchemaDefinition.Create(typeof(T));
        schema["Features"].ColumnType = type ?? new VectorDataViewType(item, size);
        return schema;
    }

    private sealed class EncodedRow
    {
        public string Path { get; set; } = "";

        public byte[] Features { get; set; } = [];

        public int Class { get; set; }
    }

    private sealed class FloatRow
    {
        public float[] Features { get; set; } = [];

        public int Class { get; set; }
    }

    private sealed class BitmapRow
    {
        [Transforms.Image.ImageType(9, 12)]
        public MLImage? Features { get; set; }

        public int Class { get; set; }
    }
}
