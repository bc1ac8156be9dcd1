using System.Reflection;
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
    public void Dimensions_of_the_type_say_the_shape()
    {
        Assert.AreEqual(new ImageShape(4, 6, 1), Create([4, 6]).Shape);
        Assert.AreEqual(new ImageShape(4, 6, 3), Create([4, 6, 3]).Shape);
        Assert.AreEqual(new ImageShape(4, 6, 1), Create([1, 4, 6]).Shape);
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
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => Create([4096 * 4 / 2])).Message, "set ImageWidth and ImageHeight");
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => Create([3, 4, 6])).Message, "interleavePixelColors");
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => Create([16], 4, null)).Message, "go together");
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => Create([16], 0, 4)).Message, "positive");
    }

    [TestMethod]
    [DataRow(100, 50, 100, 50)]
    [DataRow(224, 224, 224, 224)]
    [DataRow(225, 10, 224, 224)]
    public void The_first_image_gives_the_size_unless_it_is_large(int width, int height, int expectedWidth, int expectedHeight)
    {
        var data = EncodedView([[], Png(Rgb(width, height), width, height), Png(Rgb(3, 3), 3, 3)]);
        Assert.AreEqual(new ImageShape(expectedHeight, expectedWidth, 3), ImageColumn.Create(data.Schema["Features"], null, null, data).Shape);
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
            Assert.ThrowsExactly<ArgumentException>(() => ImageColumn.CheckType(SchemaShapeOf(EncodedView([[1]]), "Path"))).Message, "'Path'");
    }

    [TestMethod]
    public void Scoring_data_of_another_shape_is_refused()
    {
        var column = new ImageColumn("Features", new ImageShape(2, 2, 1));
        using var row = ByteView([[1, 2, 3, 4, 5, 6]]).GetRowCursor([]);
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => column.CreateGetter(row)).Message, "6 values");
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

    private static ImageColumn Create(int[] dimensions, int? width = null, int? height = null)
    {
        var data = ByteView([new byte[dimensions.Aggregate(1, (left, right) => left * right)]], 1, new VectorDataViewType(NumberDataViewType.Byte, dimensions));
        return ImageColumn.Create(data.Schema["Features"], width, height, data);
    }

    /// <summary>What an estimator is shown of the data; ML.NET keeps the conversion to itself.</summary>
    private static SchemaShape.Column SchemaShapeOf(IDataView data, string column)
    {
        var create = typeof(SchemaShape).GetMethod("Create", BindingFlags.Static | BindingFlags.NonPublic)!;
        return ((SchemaShape)create.Invoke(null, [data.Schema])!).Single(candidate => candidate.Name == column);
    }
}
