using System.Buffers.Binary;
using ImageMagick;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;
using SkiaSharp;
using static Microsoft.ML.Flooding.Tests.Images.TestImages;

namespace Microsoft.ML.Flooding.Magick.Tests;

/// <summary>The library finds the decoder by itself: no test touches a type of the package.</summary>
[TestClass]
public sealed class MagickImageDecoderTests
{
    private const int Width = 64;
    private const int Height = 48;

    private static readonly byte[] Picture = Gradient(Width, Height);

    /// <summary>The formats that Magick.NET writes, and how far its lossy encoders are off.</summary>
    public static IEnumerable<object[]> Written =>
    [
        [MagickFormat.Avif, 24], [MagickFormat.Tiff, 0], [MagickFormat.Jp2, 16], [MagickFormat.J2k, 16], [MagickFormat.Jxl, 24],
    ];

    /// <summary>JPEG 2000 files have no orientation.</summary>
    public static IEnumerable<object[]> Turned =>
        from format in new[] { MagickFormat.Avif, MagickFormat.Tiff, MagickFormat.Jxl }
        from orientation in Enumerable.Range(1, 8)
        select new object[] { format, orientation };

    [TestMethod]
    [DynamicData(nameof(Written))]
    public void A_file_gives_its_image(MagickFormat format, int tolerance) =>
        AssertShows(Picture, Width, Height, Write(format), tolerance);

    [TestMethod]
    [DataRow("upright", 1)]
    [DataRow("turned", 6)]
    [DataRow("mirrored", 7)]
    public void A_heic_file_gives_its_upright_image(string name, int orientation) => AssertShowsTurned(Heic(name), orientation, 24);

    [TestMethod]
    [DynamicData(nameof(Turned))]
    public void A_photo_is_turned_upright(MagickFormat format, int orientation) => AssertShowsTurned(
        Write(format, image =>
        {
            var exif = new ExifProfile();
            exif.SetValue(ExifTag.Orientation, (ushort)orientation);
            image.SetProfile(exif);
            image.Orientation = (ImageMagick.Orientation)orientation;
        }), orientation, 24);

    [TestMethod]
    public void Alpha_is_dropped_not_blended()
    {
        using var image = new MagickImage(
            Rgba(Picture, alpha: 3), new PixelReadSettings(Width, Height, StorageType.Char, PixelMapping.RGBA));
        AssertShows(Picture, Width, Height, image.ToByteArray(MagickFormat.Tiff), 0);
    }

    [TestMethod]
    public void Gray_sixteen_bits_palettes_and_multiple_pages_are_read()
    {
        byte[] gray = [.. Enumerable.Range(0, Width * Height).Select(i => (byte)(i % Width * 4))];
        using var grayImage = new MagickImage(gray, new PixelReadSettings(Width, Height, StorageType.Char, "I"));
        AssertShows([.. gray.SelectMany(v => Enumerable.Repeat(v, 3))], Width, Height, grayImage.ToByteArray(MagickFormat.Tiff), 0);

        AssertShows(Picture, Width, Height, Write(MagickFormat.Tiff, image => image.Depth = 16), 0);

        using var palette = new MagickImage(MagickColors.Teal, Width, Height) { ColorType = ColorType.Palette };
        AssertShows(Plain(0, 128, 128), Width, Height, palette.ToByteArray(MagickFormat.Tiff), 0);

        using var pages = new MagickImageCollection { Image(), new MagickImage(MagickColors.Red, 7, 5) };
        AssertShows(Picture, Width, Height, pages.ToByteArray(MagickFormat.Tiff), 0);
    }

    [TestMethod]
    public void Cmyk_becomes_srgb_with_and_without_a_profile()
    {
        using var plain = new MagickImage(MagickColors.Red, Width, Height) { ColorSpace = ColorSpace.CMYK };
        AssertShows(Plain(255, 0, 0), Width, Height, plain.ToByteArray(MagickFormat.Tiff), 2);

        using var profiled = new MagickImage(new MagickColor(200, 60, 50), Width, Height);
        profiled.TransformColorSpace(ColorProfiles.SRGB, ColorProfiles.USWebCoatedSWOP);
        Assert.AreEqual(ColorSpace.CMYK, profiled.ColorSpace);
        AssertShows(Plain(200, 60, 50), Width, Height, profiled.ToByteArray(MagickFormat.Tiff), 12);
    }

    [TestMethod]
    [DynamicData(nameof(Written))]
    public void Truncated_and_garbled_files_are_errors(MagickFormat format, int _) => AssertHarmless(Write(format));

    [TestMethod]
    public void Truncated_and_garbled_heic_files_are_errors() => AssertHarmless(Heic("turned"));

    [TestMethod]
    [DynamicData(nameof(Written))]
    public void An_image_over_the_pixel_limit_is_refused(MagickFormat format, int _)
    {
        StringAssert.Contains(
            Problem(Write(format), maxPixels: (Width * Height) - 1),
            $"it has 64 x 48 pixels, more than MaxPixels = {(Width * Height) - 1}");
        StringAssert.Contains(Problem(Heic("turned"), maxPixels: 100), "it has 48 x 64 pixels, more than MaxPixels = 100");
    }

    /// <summary>A hundred million pixels in a few hundred bytes.</summary>
    [TestMethod]
    public void A_bomb_is_refused_by_its_header_without_taking_memory()
    {
        var tiff = Write(MagickFormat.Tiff);
        var heic = Heic("upright");
        foreach (var bomb in new[] { WithTiffSize(tiff, 20_000, 5_001), WithHeicSize(heic, 20_000, 5_001) })
        {
            Problem(bomb, maxPixels: 100_000_000);
            var before = Environment.WorkingSet;
            StringAssert.Contains(Problem(bomb, maxPixels: 100_000_000), "it has 20000 x 5001 pixels, more than MaxPixels = 100000000");
            Assert.IsLessThan(50_000_000, Environment.WorkingSet - before);
        }

        // Within the limit, but not what the file holds.
        Problem(WithHeicSize(heic, 200, 100), long.MaxValue);
        Problem(WithTiffSize(tiff, 5000, 5000), long.MaxValue);
    }

    [TestMethod]
    public void Training_and_scoring_read_them()
    {
        var folder = Directory.CreateTempSubdirectory("flooding-magick-");
        try
        {
            foreach (var (name, color) in new[] { ("dark", MagickColors.Black), ("light", MagickColors.White) })
            {
                var group = folder.CreateSubdirectory(name);
                foreach (var (format, extension) in new[]
                {
                    (MagickFormat.Avif, "avif"), (MagickFormat.Tiff, "TIF"), (MagickFormat.Jp2, "jp2"), (MagickFormat.Jpeg, "jpg"),
                })
                    for (var i = 0; i < 3; i++)
                    {
                        using var image = new MagickImage(color, Width, Height);
                        image.Write(Path.Combine(group.FullName, $"{i}.{extension}"), format);
                    }
            }
            var context = new MLContext(seed: 1);
            var data = context.Data.LoadFromImageFolder(folder.FullName);
            using var model = context.Transforms.Conversion.MapValueToKey("Label")
                .Append(context.Transforms.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
                {
                    Architecture = Architecture.Mlp.WithHiddenSizes(),
                    Epochs = 20,
                }))
                .Append(context.Transforms.Conversion.MapKeyToValue("Class", "PredictedLabel"))
                .Fit(data);

            var scored = model.Transform(data);
            CollectionAssert.AreEqual(data.GetColumn<string>("Label").ToArray(), scored.GetColumn<string>("Class").ToArray());
            Assert.AreEqual(24L, data.GetRowCount());
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static void AssertShowsTurned(byte[] file, int orientation, int tolerance)
    {
        var (width, height) = orientation > 4 ? (Height, Width) : (Width, Height);
        var expected = new byte[Picture.Length];
        Images.Orientation.Upright(Picture, (SKEncodedOrigin)orientation, expected, width, height);
        AssertShows(expected, width, height, file, tolerance);
    }

    private static void AssertShows(byte[] expected, int width, int height, byte[] file, int tolerance)
    {
        Assert.IsTrue(EncodedImage.TryReadSize(file, long.MaxValue, out var size, out var problem), problem);
        Assert.AreEqual((width, height), size);
        var actual = new byte[expected.Length];
        Assert.IsTrue(EncodedImage.TryDecode(file, new ImageShape(height, width, 3), null, long.MaxValue, actual, out problem), problem);
        Assert.IsLessThanOrEqualTo(tolerance, expected.Zip(actual, (left, right) => Math.Abs(left - right)).Max());
    }

    private static void AssertHarmless(byte[] file)
    {
        StringAssert.Contains(Problem(file[..(file.Length / 2)], long.MaxValue), "it cannot be decoded");
        StringAssert.Contains(Problem(file[..(file.Length - (file.Length / 4))], long.MaxValue), "it cannot be decoded");

        var random = new Random(1);
        var rgb = new byte[8 * 8 * 3];
        for (var i = 0; i < 100; i++)
        {
            var garbled = file.ToArray();
            for (var j = random.Next(1, 8); j > 0; j--)
                garbled[random.Next(garbled.Length)] = (byte)random.Next(256);
            EncodedImage.TryDecode(garbled, new ImageShape(8, 8, 3), null, 1_000_000, rgb, out _);
        }
    }

    private static string Problem(byte[] file, long maxPixels)
    {
        Assert.IsFalse(EncodedImage.TryDecode(file, new ImageShape(8, 8, 3), null, maxPixels, new byte[192], out var problem));
        return problem;
    }

    private static byte[] Write(MagickFormat format, Action<MagickImage>? change = null)
    {
        using var image = Image();
        change?.Invoke(image);
        image.Quality = 95;
        return image.ToByteArray(format);
    }

    private static MagickImage Image() => new(Picture, new PixelReadSettings(Width, Height, StorageType.Char, PixelMapping.RGB));

    private static byte[] Plain(byte red, byte green, byte blue) =>
        [.. Enumerable.Repeat(new[] { red, green, blue }, Width * Height).SelectMany(pixel => pixel)];

    private static byte[] Heic(string name) => File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "Fixtures", $"{name}.heic"));

    /// <summary>Changes the tags ImageWidth (256) and ImageLength (257) of a little-endian TIFF file.</summary>
    private static byte[] WithTiffSize(byte[] file, int width, int height)
    {
        var changed = file.ToArray();
        var directory = BinaryPrimitives.ReadInt32LittleEndian(changed.AsSpan(4));
        for (var entry = directory + 2; entry < directory + 2 + (12 * changed[directory]); entry += 12)
        {
            if (BinaryPrimitives.ReadUInt16LittleEndian(changed.AsSpan(entry)) is not (256 or 257))
                continue;
            changed[entry + 2] = 4;
            BinaryPrimitives.WriteInt32LittleEndian(changed.AsSpan(entry + 8), changed[entry] == 0 ? width : height);
        }
        return changed;
    }

    /// <summary>Changes all ispe boxes, which hold the sizes of the image and its tiles, and the size in the grid item.</summary>
    private static byte[] WithHeicSize(byte[] file, int width, int height)
    {
        var changed = file.ToArray();
        for (var i = 0; i < changed.Length - 16; i++)
        {
            if (!changed.AsSpan(i, 4).SequenceEqual("ispe"u8))
                continue;
            BinaryPrimitives.WriteInt32BigEndian(changed.AsSpan(i + 8), width);
            BinaryPrimitives.WriteInt32BigEndian(changed.AsSpan(i + 12), height);
        }
        return changed;
    }
}
