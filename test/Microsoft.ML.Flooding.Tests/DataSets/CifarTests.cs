using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using static Microsoft.ML.Flooding.Tests.Images.TestImages;

namespace Microsoft.ML.Flooding.Tests.DataSets;

/// <summary>CIFAR-10 and CIFAR-100 in the binary format: labels, then 1,024 red, 1,024 green and 1,024 blue values, row by row.</summary>
[TestClass]
public sealed class CifarTests : IDisposable
{
    private const string Names10 = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    [DataRow("files")]
    [DataRow("inner")]
    [DataRow("archive")]
    public void The_training_batches_are_read_in_their_order(string place)
    {
        var files = new Dictionary<string, byte[]> { ["batches.meta.txt"] = Encoding.ASCII.GetBytes(Names10) };
        // The archive has them in another order.
        foreach (var batch in new[] { 4, 1, 5, 2, 3 })
            files[$"data_batch_{batch}.bin"] = [.. Record([(byte)batch], batch), .. Record([(byte)(batch + 4)], batch + 10)];
        Place(files, place, "cifar-10-binary.tar.gz", "cifar-10-batches-bin");

        var view = Context.Data.LoadFromCifar10(_folder);
        var rows = Rows.Of(view);
        Assert.AreEqual(
            "automobile, dog, bird, frog, cat, horse, deer, ship, dog, truck", string.Join(", ", rows.Select(row => row.Label)));
        var record = Record([1], 1);
        for (var i = 0; i < 1024; i++)
        {
            Assert.AreEqual((record[1 + i], record[1025 + i], record[2049 + i]),
                (rows[0].Pixels[3 * i], rows[0].Pixels[(3 * i) + 1], rows[0].Pixels[(3 * i) + 2]));
        }
        using var set = Images.ImageSetTests.Load(view);
        Assert.AreEqual(new ML.Flooding.Images.ImageShape(32, 32, 3), set.Shape);
    }

    [TestMethod]
    public void CIFAR_100_has_the_fine_label_after_the_coarse_one()
    {
        var files = new Dictionary<string, byte[]>
        {
            ["fine_label_names.txt"] = Encoding.ASCII.GetBytes(string.Join('\n', Enumerable.Range(0, 100).Select(i => $"class{i}"))),
            ["test.bin"] = [.. Record([3, 99], 1), .. Record([19, 0], 2)],
        };
        Place(files, "archive", "cifar-100-binary.tar.gz", "cifar-100-binary");
        var rows = Rows.Of(Context.Data.LoadFromCifar100(_folder, DataSetPart.Test));
        Assert.AreEqual("class99, class0", string.Join(", ", rows.Select(row => row.Label)));
        Assert.AreEqual(Record([19, 0], 2)[2], rows[1].Pixels[0]);
    }

    [TestMethod]
    [DataRow("files")]
    [DataRow("archive")]
    public void Broken_files_are_errors_that_name_file_and_offset(string place)
    {
        var good = new Dictionary<string, byte[]>
        {
            ["batches.meta.txt"] = Encoding.ASCII.GetBytes(Names10),
            ["test_batch.bin"] = [.. Record([1], 1), .. Record([10], 2)],
        };
        Fails(good, "test_batch.bin", "offset 3073: the label is 10");
        Fails(With([.. Record([1], 1), .. Record([1], 2)[..^1]]), "test_batch.bin", "offset 3073: the file is truncated");
        Fails(With([]), "test_batch.bin", "offset 0: the file is truncated");
        Fails(With([.. Record([1], 1), 5]), "test_batch.bin", "offset 3073");

        void Fails(Dictionary<string, byte[]> files, string file, string reason)
        {
            Place(files, place, "cifar-10-binary.tar.gz", "cifar-10-batches-bin");
            var e = Assert.ThrowsExactly<InvalidDataException>(() => Context.Data.LoadFromCifar10(_folder, DataSetPart.Test));
            StringAssert.Contains(e.Message, _folder);
            StringAssert.Contains(e.Message, file);
            StringAssert.Contains(e.Message, reason);
        }

        Dictionary<string, byte[]> With(byte[] batch) => new(good) { ["test_batch.bin"] = batch };
    }

    [TestMethod]
    public void Missing_files_are_named()
    {
        StringAssert.Contains(
            Assert.ThrowsExactly<FileNotFoundException>(() => Context.Data.LoadFromCifar10(_folder)).Message, "cifar-10-binary.tar.gz");
        Place(new() { ["test_batch.bin"] = Record([1], 1) }, "archive", "cifar-10-binary.tar.gz", "cifar-10-batches-bin");
        StringAssert.Contains(
            Assert.ThrowsExactly<FileNotFoundException>(() => Context.Data.LoadFromCifar10(_folder, DataSetPart.Test)).Message,
            "batches.meta.txt");

        // An archive that ends too early.
        var archive = Path.Combine(_folder, "cifar-10-binary.tar.gz");
        Place(
            new() { ["batches.meta.txt"] = Encoding.ASCII.GetBytes(Names10), ["test_batch.bin"] = Record([1], 1) }, "archive",
            "cifar-10-binary.tar.gz", "cifar-10-batches-bin");
        File.WriteAllBytes(archive, File.ReadAllBytes(archive)[..1000]);
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidDataException>(() => Context.Data.LoadFromCifar10(_folder, DataSetPart.Test)).Message, archive);
    }

    private static byte[] Record(byte[] labels, int seed)
    {
        var pixels = new byte[3072];
        new Random(seed).NextBytes(pixels);
        return [.. labels, .. pixels];
    }

    private void Place(Dictionary<string, byte[]> files, string place, string archive, string inner)
    {
        if (place == "archive")
        {
            using var tar = new TarWriter(
                new GZipStream(File.Create(Path.Combine(_folder, archive)), CompressionLevel.Fastest), TarEntryFormat.Ustar);
            foreach (var (name, content) in files)
                tar.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, $"{inner}/{name}") { DataStream = new MemoryStream(content) });
            return;
        }
        var folder = place == "inner" ? Path.Combine(_folder, inner) : _folder;
        Directory.CreateDirectory(folder);
        foreach (var (name, content) in files)
            File.WriteAllBytes(Path.Combine(folder, name), content);
    }
}
