using System.IO.Compression;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Tests.Images;
using static Microsoft.ML.Flooding.Tests.Images.TestImages;

namespace Microsoft.ML.Flooding.Tests.DataSets;

[TestClass]
public sealed class IdxCatalogTests : IDisposable
{
    private static readonly byte[] ImagesHeader = [0, 0, 8, 3, 0, 0, 0, 10, 0, 0, 0, 2, 0, 0, 0, 3];
    private static readonly byte[] LabelsHeader = [0, 0, 8, 1, 0, 0, 0, 10];
    private static readonly byte[] Pixels = [.. Enumerable.Range(0, 60).Select(i => (byte)(i * 4))];
    private static readonly byte[] Labels = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0];

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Images_labels_and_names_come_through(bool isCompressed)
    {
        var data = Load([.. ImagesHeader, .. Pixels], [.. LabelsHeader, .. Labels], isCompressed, ["shirt", "shoe", "bag"]);
        using var set = ImageSetTests.Load(data);

        Assert.AreEqual(new ImageShape(2, 3, 1), set.Shape, "not square, and yet known");
        CollectionAssert.AreEqual(Pixels, ImageSetTests.Pixels(set));
        CollectionAssert.AreEqual(Labels.Select(label => (long)label).ToArray(), set.Labels.data<long>().ToArray());
        var names = default(VBuffer<ReadOnlyMemory<char>>);
        data.Schema["Label"].GetKeyValues(ref names);
        Assert.AreEqual("shirt, shoe, bag", string.Join(", ", names.DenseValues()));
    }

    [TestMethod]
    public void The_view_is_counted_and_can_be_split_shuffled_and_cross_validated()
    {
        var data = Load([.. ImagesHeader, .. Pixels], [.. LabelsHeader, .. Labels]);
        Assert.AreEqual(10L, data.GetRowCount());
        Assert.AreEqual(6, ((VectorDataViewType)data.Schema["Features"].Type).Size);
        var names = default(VBuffer<ReadOnlyMemory<char>>);
        data.Schema["Label"].GetKeyValues(ref names);
        Assert.AreEqual("0, 1, 2", string.Join(", ", names.DenseValues()));

        var split = Context.Data.TrainTestSplit(data, testFraction: 0.3, seed: 1);
        using var train = ImageSetTests.Load(split.TrainSet);
        using var test = ImageSetTests.Load(split.TestSet);
        Assert.AreEqual(10, train.Count + test.Count);
        Assert.HasCount(2, Context.Data.CrossValidationSplit(data, numberOfFolds: 2));
        using var shuffled = ImageSetTests.Load(Context.Data.ShuffleRows(data, seed: 1));
        CollectionAssert.AreEquivalent(Pixels, ImageSetTests.Pixels(shuffled));
        CollectionAssert.AreNotEqual(Pixels, ImageSetTests.Pixels(shuffled));
    }

    [TestMethod]
    public void A_four_dimensional_file_has_channels()
    {
        byte[] header = [0, 0, 8, 4, 0, 0, 0, 10, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        using var set = ImageSetTests.Load(Load([.. header, .. Pixels], [.. LabelsHeader, .. Labels]));

        Assert.AreEqual(new ImageShape(1, 2, 3), set.Shape);
    }

    [TestMethod]
    public void Broken_files_are_errors_that_name_the_file()
    {
        Fails("images", "swapped", [.. LabelsHeader, .. Labels], [.. LabelsHeader, .. Labels]);
        Fails("labels", "swapped", [.. ImagesHeader, .. Pixels], [.. ImagesHeader, .. Pixels]);
        Fails("images", "truncated", [.. ImagesHeader, .. Pixels[1..]], [.. LabelsHeader, .. Labels]);
        Fails("images", "offset 0", [1, 2, 3, 4], [.. LabelsHeader, .. Labels]);
        Fails("images", "offset 75", [.. ImagesHeader, .. Pixels[1..]], [.. LabelsHeader, .. Labels]);
        Fails("images", "offset 4", [0, 0, 8, 3, 0, 0, 0, 0], [.. LabelsHeader, .. Labels]);
        Fails("images", "truncated", [], [.. LabelsHeader, .. Labels]);
        Fails("images", "has more than the 60 values", [.. ImagesHeader, .. Pixels, 1], [.. LabelsHeader, .. Labels]);
        Fails("labels", "truncated", [.. ImagesHeader, .. Pixels], [.. LabelsHeader, .. Labels[1..]]);
        Fails("labels", "9 labels", [.. ImagesHeader, .. Pixels], [0, 0, 8, 1, 0, 0, 0, 9, .. Labels[1..]]);
        Fails("images", "invalid dimensions", [0, 0, 8, 3, 0x7f, 0, 0, 0, 0x7f, 0, 0, 0, 0x7f, 0, 0, 0], [.. LabelsHeader, .. Labels]);
        Fails("images", "truncated", [0, 0, 8, 3, 0, 0, 0x4f, 0, 0, 0, 0x4f, 0, 0, 0, 0, 3], [.. LabelsHeader, .. Labels]);
        Fails("images", "damaged", [0x1f, 0x8b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], [.. LabelsHeader, .. Labels]);
    }

    [TestMethod]
    public void Too_few_names_are_an_error()
    {
        var error = Assert.ThrowsExactly<ArgumentException>(
            () => Load([.. ImagesHeader, .. Pixels], [.. LabelsHeader, .. Labels], names: ["a", "b"]));
        StringAssert.Contains(error.Message, "label 2");
    }

    private void Fails(string file, string reason, byte[] images, byte[] labels)
    {
        var error = Assert.ThrowsExactly<InvalidDataException>(() => Load(images, labels));
        StringAssert.Contains(error.Message, Path.Combine(_folder, file));
        StringAssert.Contains(error.Message, reason);
    }

    private IDataView Load(byte[] images, byte[] labels, bool isCompressed = false, IReadOnlyList<string>? names = null) =>
        Context.Data.LoadFromIdx(Write("images", images, isCompressed), Write("labels", labels, isCompressed), names);

    private string Write(string name, byte[] content, bool isCompressed)
    {
        var path = Path.Combine(_folder, name);
        using var file = File.Create(path);
        using Stream stream = isCompressed ? new GZipStream(file, CompressionLevel.Fastest) : file;
        stream.Write(content);
        return path;
    }
}
