using System.Globalization;
using System.IO.Compression;
using Microsoft.ML.Data;
using static Microsoft.ML.Flooding.Tests.Images.TestImages;

namespace Microsoft.ML.Flooding.Tests.DataSets;

/// <summary>MNIST, Fashion-MNIST and Kuzushiji-MNIST, from IDX files.</summary>
[TestClass]
public sealed class IdxDataSetTests : IDisposable
{
    // LeCun's description: a magic number (0, 0, type 8 for bytes, dimensions), the sizes as big-endian integers, the values.
    private static readonly byte[] Images = [0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    private static readonly byte[] Labels = [0, 0, 8, 1, 0, 0, 0, 3, 9, 0, 1];

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    [DataRow("mnist", false, "9, 0, 1")]
    [DataRow("fashion-mnist", true, "Ankle boot, T-shirt/top, Trouser")]
    [DataRow("kuzushiji-mnist", false, "wo, o, ki")]
    public void A_data_set_has_its_class_names(string name, bool isCompressed, string labels)
    {
        Write("t10k-images-idx3-ubyte", Images, isCompressed);
        Write("t10k-labels-idx1-ubyte", Labels, isCompressed);
        var view = ImageDataSets.All.Single(set => set.Name == name).Load(Context.Data, DataSetPart.Test, _folder);

        var rows = Rows.Of(view);
        Assert.AreEqual(labels, string.Join(", ", rows.Select(row => row.Label)));
        CollectionAssert.AreEqual(new byte[] { 5, 6, 7, 8 }, rows[1].Pixels);
        Assert.AreEqual(10ul, ((KeyDataViewType)view.Schema["Label"].Type).Count, "a class without an image has its key as well");
    }

    [TestMethod]
    public void The_real_Fashion_MNIST_is_read_in_full()
    {
        foreach (var (part, file, count) in new[] { (DataSetPart.Train, "train", 2000), (DataSetPart.Test, "t10k", 1000) })
        {
            var rows = Rows.Of(Context.Data.LoadFromFashionMnist(Fixtures.FashionMnist, part));
            var images = Decompress($"{file}-images-idx3-ubyte.gz")[16..];
            var labels = Decompress($"{file}-labels-idx1-ubyte.gz")[8..];
            string[] names = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];
            Assert.HasCount(count, rows);
            CollectionAssert.AreEqual(images, rows.SelectMany(row => row.Pixels).ToArray());
            CollectionAssert.AreEqual(labels.Select(label => names[label]).ToArray(), rows.Select(row => row.Label).ToArray());
        }
    }

    [TestMethod]
    public void A_label_without_a_class_is_an_error_with_its_offset()
    {
        Write("train-images-idx3-ubyte", Images, isCompressed: false);
        Write("train-labels-idx1-ubyte", [.. Labels[..^1], 10], isCompressed: false);
        var e = Assert.ThrowsExactly<InvalidDataException>(() => Context.Data.LoadFromMnist(_folder));
        StringAssert.Contains(e.Message, Path.Combine(_folder, "train-labels-idx1-ubyte") + "', offset 10: the label is 10");
    }

    [TestMethod]
    public void Counts_that_disagree_and_missing_files_are_errors()
    {
        Write("train-images-idx3-ubyte", Images, isCompressed: false);
        StringAssert.Contains(
            Assert.ThrowsExactly<FileNotFoundException>(() => Context.Data.LoadFromMnist(_folder)).Message,
            Path.Combine(_folder, "train-labels-idx1-ubyte.gz"));
        Write("train-labels-idx1-ubyte", [0, 0, 8, 1, 0, 0, 0, 2, 9, 0], isCompressed: false);
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidDataException>(() => Context.Data.LoadFromMnist(_folder)).Message,
            string.Create(CultureInfo.InvariantCulture, $"has 3 images (the count at offset 4), but '{_folder}"));
    }

    private static byte[] Decompress(string name)
    {
        using var gzip = new GZipStream(File.OpenRead(Path.Combine(Fixtures.FashionMnist, name)), CompressionMode.Decompress);
        using var content = new MemoryStream();
        gzip.CopyTo(content);
        return content.ToArray();
    }

    private void Write(string name, byte[] content, bool isCompressed)
    {
        using var file = File.Create(Path.Combine(_folder, name + (isCompressed ? ".gz" : "")));
        using Stream stream = isCompressed ? new GZipStream(file, CompressionLevel.Fastest) : file;
        stream.Write(content);
    }
}
