using System.Buffers.Binary;
using System.IO.Compression;
using System.Runtime.InteropServices;
using Microsoft.ML.Flooding.Images;
using SkiaSharp;
using static Microsoft.ML.Flooding.Tests.Images.TestImages;

namespace Microsoft.ML.Flooding.Tests.Images;

[TestClass]
public class EncodedImageTests
{
    [TestMethod]
    [DataRow(SKEncodedImageFormat.Png, 0)]
    [DataRow(SKEncodedImageFormat.Webp, 12)]
    [DataRow(SKEncodedImageFormat.Jpeg, 12)]
    public void Formats_come_back_as_they_went(SKEncodedImageFormat format, int tolerance)
    {
        var rgb = Gradient(40, 30);
        AssertClose(rgb, Decode(Encode(rgb, 40, 30, format), 40, 30), tolerance);
    }

    [TestMethod]
    public void Alpha_is_dropped_not_blended()
    {
        var rgb = Rgb(6, 5);
        CollectionAssert.AreEqual(rgb, Decode(Encode(rgb, 6, 5, SKEncodedImageFormat.Png, alpha: 3), 6, 5));
    }

    [TestMethod]
    public void Grey_is_replicated()
    {
        using var grey = new SKBitmap(new SKImageInfo(4, 2, SKColorType.Gray8, SKAlphaType.Opaque));
        byte[] values = [0, 50, 100, 150, 200, 250, 7, 9];
        Marshal.Copy(values, 0, grey.GetPixels(), values.Length);
        using var file = grey.Encode(SKEncodedImageFormat.Png, 100);

        CollectionAssert.AreEqual(values.SelectMany(value => Enumerable.Repeat(value, 3)).ToArray(), Decode(file.ToArray(), 4, 2));
    }

    [TestMethod]
    public void Sixteen_bits_are_cut_to_eight_and_palettes_looked_up()
    {
        var deep = PngOf(bitDepth: 16, colourType: 2, width: 2, [], [0, 0x12, 0x34, 0xff, 0xff, 0x80, 0x00, 0, 0, 0x7f, 0xff, 0x01, 0x02]);
        AssertClose([0x12, 0xff, 0x80, 0x00, 0x7f, 0x01], Decode(deep, 2, 1), 1);

        var palette = PngOf(bitDepth: 8, colourType: 3, width: 3, [1, 2, 3, 40, 50, 60], [0, 1, 0, 1]);
        CollectionAssert.AreEqual(new byte[] { 40, 50, 60, 1, 2, 3, 40, 50, 60 }, Decode(palette, 3, 1));
    }

    [TestMethod]
    public void An_animated_gif_gives_its_first_frame()
    {
        // 1 x 1, a palette of red and blue, one frame of each.
        byte[] gif =
        [
            .. "GIF89a"u8, 1, 0, 1, 0, 0x80, 0, 0, 255, 0, 0, 0, 0, 255,
            0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 1, 0,
            0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x4c, 1, 0,
            0x3b,
        ];
        CollectionAssert.AreEqual(new byte[] { 255, 0, 0 }, Decode(gif, 1, 1));
    }

    /// <summary>The eight orientations of the EXIF standard, as a viewer shows an image stored as 3 x 2.</summary>
    [TestMethod]
    [DataRow(1, "abc def")]
    [DataRow(2, "cba fed")]
    [DataRow(3, "fed cba")]
    [DataRow(4, "def abc")]
    [DataRow(5, "ad be cf")]
    [DataRow(6, "da eb fc")]
    [DataRow(7, "fc eb da")]
    [DataRow(8, "cf be ad")]
    public void Images_are_turned_upright(int orientation, string expected)
    {
        var stored = "abcdef".SelectMany(letter => new[] { (byte)(letter - 'a' + 1), (byte)0, (byte)0 }).ToArray();
        var rows = expected.Split(' ');
        var upright = new byte[18];
        Orientation.Upright(stored, (SKEncodedOrigin)orientation, upright, rows[0].Length, rows.Length);

        Assert.AreEqual(string.Concat(rows), string.Concat(upright.Chunk(3).Select(pixel => (char)('a' + pixel[0] - 1))));
    }

    public static IEnumerable<object[]> Turned =>
        from format in new[] { SKEncodedImageFormat.Jpeg, SKEncodedImageFormat.Png, SKEncodedImageFormat.Webp }
        from orientation in Enumerable.Range(1, 8)
        select new object[] { format, orientation };

    [TestMethod]
    [DynamicData(nameof(Turned))]
    public void The_orientation_of_a_photograph_counts_for_its_size_and_its_pixels(SKEncodedImageFormat format, int orientation)
    {
        var rgb = Gradient(48, 32);
        var lying = WithOrientation(Encode(rgb, 48, 32, format, quality: 90), (byte)orientation);
        var (width, height) = orientation > 4 ? (32, 48) : (48, 32);
        Assert.IsTrue(EncodedImage.TryReadSize(lying, long.MaxValue, out var size, out _));
        Assert.AreEqual((width, height), size);

        var expected = new byte[rgb.Length];
        Orientation.Upright(rgb, (SKEncodedOrigin)orientation, expected, width, height);
        AssertClose(expected, Decode(lying, width, height), 24);
    }

    /// <summary>A phone's photo has twelve megapixels; the decoder reduces it before it is turned.</summary>
    [TestMethod]
    [DataRow(1)]
    [DataRow(3)]
    [DataRow(6)]
    [DataRow(8)]
    public void Large_photographs_are_turned_too(int orientation)
    {
        var file = WithOrientation(Encode(Gradient(1600, 1200), 1600, 1200, SKEncodedImageFormat.Jpeg, quality: 90), (byte)orientation);
        var (width, height) = orientation > 4 ? (48, 64) : (64, 48);
        var expected = new byte[64 * 48 * 3];
        Orientation.Upright(Gradient(64, 48), (SKEncodedOrigin)orientation, expected, width, height);
        AssertClose(expected, Decode(file, width, height), 6);
    }

    [TestMethod]
    public void A_damaged_orientation_of_a_png_is_none()
    {
        var rgb = Rgb(9, 7);
        var png = Png(rgb, 9, 7);
        var turned = WithOrientation(png, 6);
        const int Exif = 41;
        AssertSize((7, 9), turned);
        AssertSize((9, 7), [.. turned[..Exif], .. "XX"u8, .. turned[(Exif + 2)..]]);
        AssertSize((9, 7), [.. turned[..(Exif + 4)], 255, 255, 255, 255, .. turned[(Exif + 8)..]]);
        AssertSize((9, 7), WithOrientation(png, 9));
        AssertSize((9, 7), WithOrientation(png, 0));
        // One entry of a thousand is there.
        AssertSize((7, 9), [.. turned[..(Exif + 8)], 3, 232, .. turned[(Exif + 10)..]]);

        var random = new Random(1);
        for (var i = 0; i < 2000; i++)
        {
            var garbled = turned.ToArray();
            for (var j = random.Next(1, 8); j > 0; j--)
                garbled[random.Next(8, 80)] = (byte)random.Next(256);
            PngOrientation.Of(garbled.AsSpan(0, random.Next(8, garbled.Length)));
        }

        static void AssertSize((int, int) expected, byte[] file)
        {
            Assert.IsTrue(EncodedImage.TryReadSize(file, long.MaxValue, out var size, out var problem), problem);
            Assert.AreEqual(expected, size);
        }
    }

    [TestMethod]
    public void Large_photographs_are_shrunk_to_what_the_picture_shows()
    {
        var file = Encode(Gradient(1600, 1200), 1600, 1200, SKEncodedImageFormat.Jpeg, quality: 90);
        AssertClose(Gradient(64, 48), Decode(file, 64, 48), 6);
    }

    [TestMethod]
    public void Shrinking_averages_what_it_leaves_out()
    {
        // A checkerboard of single pixels becomes gray. Without anti-aliasing it would be black or white.
        var board = Enumerable.Range(0, 64 * 64).SelectMany(i => Enumerable.Repeat((byte)(((i % 64) + (i / 64)) % 2 * 255), 3)).ToArray();
        var small = Decode(Png(board, 64, 64), 16, 16);

        Assert.IsTrue(small.All(value => value is > 120 and < 136), string.Join(" ", small.Distinct()));
    }

    [TestMethod]
    public void Resizing_agrees_with_a_plain_implementation()
    {
        foreach (var (width, height) in new[] { (5, 9), (30, 7), (13, 22), (1, 1), (40, 40) })
        {
            var rgb = Rgb(13, 11);
            AssertClose(Naive(rgb, 13, 11, width, height), Decode(Png(rgb, 13, 11), width, height), 1);
        }
    }

    [TestMethod]
    public void A_plain_colour_stays_itself_at_every_size()
    {
        var file = Png([.. Enumerable.Repeat(new byte[] { 255, 1, 128 }, 21 * 17).SelectMany(pixel => pixel)], 21, 17);
        for (var side = 1; side < 60; side++)
            Assert.IsTrue(Decode(file, side, 60 - side).Chunk(3).All(pixel => pixel is [255, 1, 128]));
    }

    [TestMethod]
    public void Broken_files_say_what_is_wrong_with_them()
    {
        var png = Png(Rgb(30, 30), 30, 30);
        StringAssert.Contains(Problem([]), "empty");
        StringAssert.Contains(Problem([1, 2, 3, 4]), "not a JPEG");
        StringAssert.Contains(Problem(png[..(png.Length / 2)]), "truncated");
        StringAssert.Contains(Problem(png, maxPixels: 899), "30 x 30 pixels, more than MaxPixels = 899");
    }

    [TestMethod]
    public void No_garbled_file_does_worse_than_being_invalid()
    {
        var random = new Random(1);
        foreach (var format in new[] { SKEncodedImageFormat.Png, SKEncodedImageFormat.Jpeg, SKEncodedImageFormat.Webp })
        {
            var file = Encode(Rgb(20, 20), 20, 20, format, quality: 80);
            for (var i = 0; i < 300; i++)
            {
                var garbled = file.ToArray();
                for (var j = random.Next(1, 8); j > 0; j--)
                    garbled[random.Next(garbled.Length)] = (byte)random.Next(256);
                EncodedImage.TryDecode(garbled, new ImageShape(8, 8, 3), null, 1_000_000, new byte[192], out _);
            }
        }
    }

    private static byte[] Decode(byte[] file, int width, int height)
    {
        var rgb = new byte[width * height * 3];
        Assert.IsTrue(EncodedImage.TryDecode(file, new ImageShape(height, width, 3), null, long.MaxValue, rgb, out var problem), problem);
        return rgb;
    }

    private static string Problem(byte[] file, long maxPixels = 1000)
    {
        Assert.IsFalse(EncodedImage.TryDecode(file, new ImageShape(8, 8, 3), null, maxPixels, new byte[192], out var problem));
        return problem;
    }

    private static void AssertClose(byte[] expected, byte[] actual, int tolerance)
    {
        Assert.HasCount(expected.Length, actual);
        Assert.IsLessThanOrEqualTo(tolerance, expected.Zip(actual, (left, right) => Math.Abs(left - right)).Max());
    }

    /// <summary>A PNG with one row. The scanline starts with its filter type.</summary>
    private static byte[] PngOf(byte bitDepth, byte colourType, byte width, byte[] palette, byte[] scanline)
    {
        static byte[] Chunk(ReadOnlySpan<byte> name, byte[] content)
        {
            var length = new byte[4];
            BinaryPrimitives.WriteInt32BigEndian(length, content.Length);
            byte[] body = [.. name, .. content];
            var crc = uint.MaxValue;
            foreach (var value in body)
            {
                crc ^= value;
                for (var bit = 0; bit < 8; bit++)
                    crc = (crc >> 1) ^ ((crc & 1) * 0xedb88320);
            }

            var sum = new byte[4];
            BinaryPrimitives.WriteUInt32BigEndian(sum, ~crc);
            return [.. length, .. body, .. sum];
        }

        using var compressed = new MemoryStream();
        using (var zlib = new ZLibStream(compressed, CompressionLevel.Fastest, leaveOpen: true))
            zlib.Write(scanline);
        return
        [
            0x89, .. "PNG\r\n"u8, 0x1a, 0x0a,
            .. Chunk("IHDR"u8, [0, 0, 0, width, 0, 0, 0, 1, bitDepth, colourType, 0, 0, 0]),
            .. palette.Length == 0 ? [] : Chunk("PLTE"u8, palette),
            .. Chunk("IDAT"u8, compressed.ToArray()),
            .. Chunk("IEND"u8, []),
        ];
    }

    /// <summary>Weights every source pixel by a triangle as wide as one target pixel, but no narrower than two source pixels.</summary>
    private static byte[] Naive(byte[] rgb, int sourceWidth, int sourceHeight, int width, int height)
    {
        static double Weight(int source, int target, int sourceLength, int length)
        {
            var scale = (double)sourceLength / length;
            return Math.Max(0, 1 - (Math.Abs(source + 0.5 - ((target + 0.5) * scale)) / Math.Max(1, scale)));
        }

        var result = new byte[width * height * 3];
        for (var i = 0; i < result.Length; i++)
        {
            var (x, y, c) = (i / 3 % width, i / 3 / width, i % 3);
            var (sum, weights) = (0.0, 0.0);
            for (var v = 0; v < sourceHeight; v++)
            {
                for (var u = 0; u < sourceWidth; u++)
                {
                    var weight = Weight(u, x, sourceWidth, width) * Weight(v, y, sourceHeight, height);
                    sum += weight * rgb[(((v * sourceWidth) + u) * 3) + c];
                    weights += weight;
                }
            }

            result[i] = (byte)Math.Round(sum / weights);
        }

        return result;
    }
}
