using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;
using SkiaSharp;
using static Microsoft.ML.Flooding.Tests.Images.TestImages;

namespace Microsoft.ML.Flooding.Tests.Images;

/// <summary>Images from MLImage equal those from the bytes of their files, as far as MLImage preserves them.</summary>
[TestClass]
public sealed class BitmapTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("flooding-bitmaps-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    public static IEnumerable<object[]> Turned =>
        from format in new[] { SKEncodedImageFormat.Jpeg, SKEncodedImageFormat.Png, SKEncodedImageFormat.Webp }
        from orientation in Enumerable.Range(1, 8)
        select new object[] { format, orientation };

    [TestMethod]
    [DynamicData(nameof(Turned))]
    public void LoadImages_and_bytes_of_a_turned_photo_give_one_image(SKEncodedImageFormat format, int orientation)
    {
        var photo = WithOrientation(Encode(Gradient(48, 32), 48, 32, format, quality: 90), (byte)orientation);
        var data = Loaded(photo);
        var column = ImageColumn.Create(data.Schema["Image"], null, null, data);
        var ofBytes = ImageColumn.Create(data.Schema["Features"], null, null, data);

        Assert.AreEqual(ofBytes.Shape, column.Shape);
        CollectionAssert.AreEqual(Decode(data, ofBytes), Decode(data, column));
        foreach (var shape in new[] { new ImageShape(16, 16, 3), new ImageShape(20, 10, 3) })
            AssertClose(
                Decode(data, ofBytes with { Shape = shape, CenterCrop = 0.9 }),
                Decode(data, column with { Shape = shape, CenterCrop = 0.9 }), 2);
    }

    [TestMethod]
    public void An_image_that_was_resized_is_taken_as_it_is()
    {
        var loaded = Loaded(WithOrientation(Encode(Gradient(48, 32), 48, 32, SKEncodedImageFormat.Jpeg), 6));
        var data = Context.Transforms.ResizeImages("Sized", 24, 16, "Image").Fit(loaded).Transform(loaded);
        Assert.AreEqual(new ImageShape(16, 24, 3), ImageColumn.Create(data.Schema["Sized"], null, null, data).Shape);
    }

    [TestMethod]
    [DataRow(200, 2)]
    [DataRow(100, 2)]
    [DataRow(30, 5)]
    public void Colours_under_alpha_are_those_of_the_file(int alpha, int tolerance)
    {
        var data = Loaded(Encode(Rgb(9, 7), 9, 7, SKEncodedImageFormat.Png, alpha: (byte)alpha));
        var shape = new ImageShape(7, 9, 3);
        AssertClose(Decode(data, new ImageColumn("Features", shape)), Decode(data, new ImageColumn("Image", shape)), tolerance);
    }

    [TestMethod]
    public void Pixels_that_were_never_multiplied_stay_as_they_are()
    {
        var rgb = Rgb(5, 4);
        using var image = MLImage.CreateFromPixels(5, 4, MLPixelFormat.Rgba32, Rgba(rgb, alpha: 100));
        CollectionAssert.AreEqual(rgb, Decode(BitmapView([image]), new ImageColumn("Features", new ImageShape(4, 5, 3))));
        using var forgotten = MLImage.CreateFromPixels(5, 4, MLPixelFormat.Bgra32, Rgba(rgb, alpha: 0));
        var blueFirst = rgb.Chunk(3).SelectMany(pixel => pixel.Reverse()).ToArray();
        CollectionAssert.AreEqual(blueFirst, Decode(BitmapView([forgotten]), new ImageColumn("Features", new ImageShape(4, 5, 3))));
    }

    [TestMethod]
    public void A_broken_file_in_front_does_not_decide_over_the_others()
    {
        var data = Loaded([1, 2, 3], Png(Rgb(8, 6), 8, 6));
        Assert.AreEqual(new ImageShape(6, 8, 3), ImageColumn.Create(data.Schema["Image"], null, null, data).Shape);
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => ImageSetTests.Load(Renamed(data)));
        StringAssert.Contains(error.Message, "row 0 (Path = '0.png')");
    }

    /// <summary>The files in the column Features, and as read by LoadImages in the column Image.</summary>
    private IDataView Loaded(params byte[][] files)
    {
        for (var i = 0; i < files.Length; i++)
            File.WriteAllBytes(Path.Combine(_folder, $"{i}.png"), files[i]);
        var rows = EncodedView(files);
        return Context.Transforms.LoadImages("Image", _folder, "Path").Fit(rows).Transform(rows);
    }

    private static IDataView Renamed(IDataView data) => Context.Transforms.CopyColumns("Features", "Image").Fit(data).Transform(data);

    private static byte[] Decode(IDataView data, ImageColumn column)
    {
        using var cursor = data.GetRowCursor(data.Schema);
        var read = column.CreateGetter(cursor);
        Assert.IsTrue(cursor.MoveNext());
        var raw = new RawImage();
        Assert.IsNull(read(raw));
        var pixels = new byte[column.Shape.Length];
        Assert.IsTrue(column.TryDecode(raw, pixels, out var problem), problem);
        return pixels;
    }

    private static void AssertClose(byte[] expected, byte[] actual, int tolerance) =>
        Assert.IsLessThanOrEqualTo(tolerance, expected.Zip(actual, (left, right) => Math.Abs(left - right)).Max());
}
