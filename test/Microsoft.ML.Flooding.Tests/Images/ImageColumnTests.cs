using System.Reflection;
using System.Runtime.InteropServices;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;
using static Microsoft.ML.Flooding.Tests.Images.TestImages;

namespace Microsoft.ML.Flooding.Tests.Images;

[TestClass]
public class ImageColumnTests
{
    [TestMethod]
    [DataRow(784, 28, 28, 1)]
    [DataRow(3072, 32, 32, 3)]
    [DataRow(3, 1, 1, 3)]
    [DataRow(2304, 48, 48, 1)]
    public void Square_images_need_no_size(int size, int height, int width, int channels) =>
        Assert.AreEqual(new ImageShape(height, width, channels), Create([size]).Shape);

    [TestMethod]
    [DataRow(new[] { 4, 6 }, 4, 6, 1)]
    [DataRow(new[] { 4, 6, 3 }, 4, 6, 3)]
    [DataRow(new[] { 3, 6, 3 }, 3, 6, 3)]
    [DataRow(new[] { 4, 6, 2 }, 4, 6, 2)]
    [DataRow(new[] { 8, 8, 4 }, 8, 8, 4)]
    [DataRow(new[] { 28, 28, 4 }, 28, 28, 4)]
    [DataRow(new[] { 16, 8, 9 }, 16, 8, 9)]
    [DataRow(new[] { 1, 4, 6 }, 4, 6, 1)]
    [DataRow(new[] { 3, 4, 6 }, 4, 6, 3)]
    [DataRow(new[] { 3, 4, 4 }, 4, 4, 3)]
    [DataRow(new[] { 4, 28, 28 }, 28, 28, 4)]
    [DataRow(new[] { 1, 3, 4, 6 }, 4, 6, 3)]
    public void Dimensions_of_the_type_say_the_shape(int[] dimensions, int height, int width, int channels)
    {
        var shape = new ImageShape(height, width, channels);
        Assert.AreEqual(shape, Create(dimensions).Shape);
        Assert.AreEqual(shape, Create(dimensions, width, height).Shape);
    }

    [TestMethod]
    [DataRow(new[] { 2, 3, 2 }, new byte[] { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 })]
    [DataRow(new[] { 3, 2, 2 }, new byte[] { 0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11 })]
    [DataRow(new[] { 12 }, new byte[] { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 })]
    public void Channels_in_front_are_read_as_channels_behind(int[] dimensions, byte[] expected)
    {
        byte[] values = [.. Enumerable.Range(0, 12).Select(i => (byte)i)];
        CollectionAssert.AreEqual(expected, Decode(ByteView([values], 1, new VectorDataViewType(NumberDataViewType.Byte, dimensions))));
    }

    [TestMethod]
    public void Sparse_channels_in_front_are_read_as_channels_behind()
    {
        byte[] expected = [0, 4, 0, 0, 0, 9, 2, 0, 0, 0, 0, 0];
        var raw = new RawImage();
        raw.ReadBytes(ImageKind.Bytes, isPlanar: true, (ref VBuffer<byte> value) => value = new VBuffer<byte>(12, 3, [2, 4, 9], [2, 4, 9]));
        var pixels = new byte[12];
        Assert.IsTrue(new ImageColumn("Features", new ImageShape(2, 2, 3)).TryDecode(raw, pixels, out _));
        CollectionAssert.AreEqual(expected, pixels);
    }

    [TestMethod]
    public void What_ExtractPixels_writes_by_default_is_the_image()
    {
        var rgb = Rgb(12, 9);
        var expected = Array.ConvertAll(rgb, value => (float)value);
        foreach (var isInterleaved in new[] { false, true })
        {
            // ExtractPixels disposes the image.
            var images = BitmapView([MLImage.CreateFromPixels(12, 9, MLPixelFormat.Rgba32, Rgba(rgb))]);
            var data = Context.Transforms.ExtractPixels("Pixels", "Features", interleavePixelColors: isInterleaved)
                .Fit(images).Transform(images);
            CollectionAssert.AreEqual(expected, MemoryMarshal.Cast<byte, float>(Decode(data, "Pixels")).ToArray());
        }
    }

    [TestMethod]
    public void The_size_asked_for_gives_the_channels()
    {
        Assert.AreEqual(new ImageShape(2, 5, 4), Create([40], 5, 2).Shape);
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => Create([41], 5, 2)).Message, "ImageWidth x ImageHeight");
    }

    [TestMethod]
    public void What_cannot_be_inferred_is_an_error_with_its_remedy()
    {
        var noSquare = Assert.ThrowsExactly<ArgumentException>(() => Create([4096 * 4 / 2])).Message;
        StringAssert.Contains(noSquare, "set ImageWidth and ImageHeight");
        StringAssert.Contains(noSquare, "90 x 90 x 1 has 8100, 52 x 52 x 3 has 8112");
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => Create([2, 3, 4, 6])).Message, "[height, width, channels]");
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => Create([28, 28], 56, 14)).Message, "Leave the options unset");
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => Create([16], 4, null)).Message, "go together");
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => Create([16], 0, 4)).Message, "positive");
    }

    [TestMethod]
    [DataRow(100, 50, 100, 50)]
    [DataRow(224, 224, 224, 224)]
    [DataRow(225, 10, 224, 224)]
    public void Images_of_one_size_give_it_unless_it_is_large(int width, int height, int expectedWidth, int expectedHeight)
    {
        var data = EncodedView([[], Png(Rgb(width, height), width, height), Png(Rgb(width, height), width, height)]);
        Assert.AreEqual(
            new ImageShape(expectedHeight, expectedWidth, 3), ImageColumn.Create(data.Schema["Features"], null, null, data).Shape);
    }

    [TestMethod]
    public void An_odd_image_in_front_does_not_give_the_size()
    {
        var data = EncodedView(
            [Png(Rgb(4, 4), 4, 4), Png(Rgb(30, 20), 30, 20), Png(Rgb(32, 24), 32, 24), Png(Rgb(36, 22), 36, 22), Png(Rgb(200, 9), 200, 9)]);
        Assert.AreEqual(new ImageShape(20, 32, 3), ImageColumn.Create(data.Schema["Features"], null, null, data).Shape);
    }

    [TestMethod]
    public void The_size_is_that_of_the_first_images_alone()
    {
        var read = 0;
        IEnumerable<byte[]> Files()
        {
            for (var i = 0; i < 1000; i++)
            {
                read++;
                yield return i < MedianSize.Images ? Png(Rgb(8, 6), 8, 6) : Png(Rgb(3, 3), 3, 3);
            }
        }

        var data = EncodedView(Files());
        read = 0;
        Assert.AreEqual(new ImageShape(6, 8, 3), ImageColumn.Create(data.Schema["Features"], null, null, data).Shape);
        Assert.IsLessThan(100, read);
    }

    [TestMethod]
    public void Types_that_hold_no_images_are_errors_that_name_the_column()
    {
        foreach (var type in new DataViewType[]
        {
            TextDataViewType.Instance, NumberDataViewType.Single, new VectorDataViewType(NumberDataViewType.Single),
            new VectorDataViewType(NumberDataViewType.Double, 4), new VectorDataViewType(new KeyDataViewType(typeof(byte), 5), 4),
        })
        {
            StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => ImageColumn.CheckType("Pixels", type)).Message, "'Pixels'");
        }
    }

    [TestMethod]
    public void Schema_shapes_are_checked_alike()
    {
        foreach (var data in new[] { EncodedView([[1]]), FloatView([[1, 2, 3, 4]]), ByteView([[1, 2, 3, 4]]) })
            ImageColumn.CheckType(SchemaShapeOf(data, "Features"));
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => ImageColumn.CheckType(SchemaShapeOf(EncodedView([[1]]), "Path"))).Message,
            "'Path'");
    }

    [TestMethod]
    public void Scoring_data_of_another_shape_is_refused()
    {
        var column = new ImageColumn("Features", new ImageShape(2, 2, 1));
        using var row = ByteView([[1, 2, 3, 4, 5, 6]]).GetRowCursor([]);
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => column.CreateGetter(row)).Message, "6 values");
        var flat = ByteView([[1, 2, 3, 4]], 1, new VectorDataViewType(NumberDataViewType.Byte, 1, 4));
        using var flatRow = flat.GetRowCursor(flat.Schema);
        Assert.IsNotNull(column.CreateGetter(flatRow), "a single dimension says nothing of the shape");
        using var other = ByteView([new byte[8]], 1, new VectorDataViewType(NumberDataViewType.Byte, 2, 4)).GetRowCursor([]);
        var square = new ImageColumn("Features", new ImageShape(4, 2, 1));
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => square.CreateGetter(other)).Message, "4 x 2 x 1");
        using var encoded = EncodedView([[1]]).GetRowCursor([]);
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => column.CreateGetter(encoded)).Message, "3 channels");
    }

    [TestMethod]
    public void A_missing_bitmap_is_an_invalid_image()
    {
        var data = BitmapView([null]);
        var column = new ImageColumn("Features", new ImageShape(2, 2, 3));
        using var cursor = data.GetRowCursor(data.Schema);
        var raw = new RawImage();
        var read = column.CreateGetter(cursor);
        Assert.IsTrue(cursor.MoveNext());
        read(raw);

        Assert.IsFalse(column.TryDecode(raw, new byte[12], out var problem));
        StringAssert.Contains(problem, "no image");
    }

    private static byte[] Decode(IDataView data, string column = "Features")
    {
        var images = ImageColumn.Create(data.Schema[column], null, null, data);
        using var cursor = data.GetRowCursor([data.Schema[column]]);
        var read = images.CreateGetter(cursor);
        Assert.IsTrue(cursor.MoveNext());
        var raw = new RawImage();
        Assert.IsNull(read(raw));
        var pixels = new byte[images.Shape.Length * (raw.Kind == ImageKind.Values ? sizeof(float) : 1)];
        Assert.IsTrue(images.TryDecode(raw, pixels, out var problem), problem);
        return pixels;
    }

    private static ImageColumn Create(int[] dimensions, int? width = null, int? height = null)
    {
        var data = ByteView(
            [new byte[dimensions.Aggregate(1, (left, right) => left * right)]], 1,
            new VectorDataViewType(NumberDataViewType.Byte, dimensions));
        return ImageColumn.Create(data.Schema["Features"], width, height, data);
    }

    /// <summary>The schema of the data as an estimator sees it. The conversion is internal to ML.NET.</summary>
    private static SchemaShape.Column SchemaShapeOf(IDataView data, string column)
    {
        var create = typeof(SchemaShape).GetMethod("Create", BindingFlags.Static | BindingFlags.NonPublic)!;
        return ((SchemaShape)create.Invoke(null, [data.Schema])!).Single(candidate => candidate.Name == column);
    }
}
