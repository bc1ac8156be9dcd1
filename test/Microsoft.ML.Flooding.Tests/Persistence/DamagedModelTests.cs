using System.Buffers.Binary;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Tests.Pipeline;
using TorchSharp;

namespace Microsoft.ML.Flooding.Tests.Persistence;

/// <summary>A file that cannot be read gives ML.NET's decoding error, which contains the reason.</summary>
[TestClass]
public sealed class DamagedModelTests
{
    private const string HeaderEntry = "Model.key";
    private static readonly MLContext Context = new(seed: 1);
    private static readonly Lazy<byte[]> Model = new(() =>
    {
        var data = FashionMnistData.Train(Context, 30);
        using var model = ShortRun.Fit(Context, data);
        return SavedModel.Save(Context, model, data.Schema);
    });

    [TestMethod]
    public void An_undamaged_file_survives_the_rewriting_of_these_tests()
    {
        using var model = (IDisposable)SavedModel.Load(Rewrite(Resealed(SavedModel.WeightsEntry, content => content)));
        Assert.IsNotNull(model);
    }

    [TestMethod]
    public void A_newer_version() => AssertRefused(Rewrite((name, content) =>
    {
        if (name != HeaderEntry)
            return content;
        // The signature is followed by the version written and the oldest version that can read it.
        var version = content.AsSpan().IndexOf("FLOODIMG"u8) + 8;
        BinaryPrimitives.WriteInt32LittleEndian(content.AsSpan(version), 0x00020000);
        BinaryPrimitives.WriteInt32LittleEndian(content.AsSpan(version + 4), 0x00020000);
        return content;
    }), "too new");

    [TestMethod]
    [DataRow(SavedModel.WeightsEntry)]
    [DataRow(SavedModel.DescriptionEntry)]
    public void A_truncated_entry(string entry) =>
        AssertRefused(Rewrite((name, content) => name == entry ? content[..^10] : content), $"Entry {entry} has");

    [TestMethod]
    [DataRow(SavedModel.WeightsEntry)]
    [DataRow(SavedModel.DescriptionEntry)]
    public void A_missing_entry(string entry) =>
        AssertRefused(Rewrite((name, content) => name == entry ? null : content), $"Entry {entry} is missing");

    [TestMethod]
    [DataRow(SavedModel.WeightsEntry)]
    [DataRow(SavedModel.DescriptionEntry)]
    public void A_changed_bit(string entry) => AssertRefused(Rewrite((name, content) =>
    {
        if (name == entry)
            content[content.Length / 2] ^= 1;
        return content;
    }), $"Entry {entry} is damaged");

    /// <summary>A model can be larger than the largest array, which has 2 GB.</summary>
    [TestMethod]
    public void Weights_are_saved_and_loaded_without_a_copy_of_them_in_memory()
    {
        // 40 MB of weights.
        var shape = new Flooding.Images.ImageShape(32, 32, 3);
        using var model = Scoring.RandomModel.Create(Context, Architecture.Mlp.WithHiddenSizes(3200), shape);
        using var path = new TemporaryFile(".zip");
        var before = GC.GetAllocatedBytesForCurrentThread();
        Context.Model.Save(model, null, path.Path);
        var saved = GC.GetAllocatedBytesForCurrentThread();
        using var loaded = (IDisposable)Context.Model.Load(path.Path, out _);
        Assert.IsLessThan(20 << 20, saved - before);
        Assert.IsLessThan(20 << 20, GC.GetAllocatedBytesForCurrentThread() - saved);
    }

    [TestMethod]
    public void A_weight_of_the_wrong_shape() => AssertRefused(Rewrite(Resealed(SavedModel.WeightsEntry, content =>
    {
        using var scope = torch.NewDisposeScope();
        using var file = SafetensorsFile.Read(new MemoryStream(content));
        using var stream = new MemoryStream();
        Safetensors.Write(
            stream, file.LoadAll().Select(t => (t.Key, t.Key == "fc.weight" ? t.Value.t().contiguous() : t.Value)), file.Metadata);
        return stream.ToArray();
    })), "'fc.weight' has the shape [32, 10] in the weights, but [10, 32] in the network");

    [TestMethod]
    public void A_weight_that_is_missing() => AssertRefused(Rewrite(Resealed(SavedModel.WeightsEntry, content =>
    {
        using var scope = torch.NewDisposeScope();
        using var file = SafetensorsFile.Read(new MemoryStream(content));
        using var stream = new MemoryStream();
        Safetensors.Write(stream, file.LoadAll().Where(t => t.Key != "fc.bias").Select(t => (t.Key, t.Value)), file.Metadata);
        return stream.ToArray();
    })), "lack");

    [TestMethod]
    public void An_architecture_that_nobody_knows() => AssertRefused(
        Rewrite(Resealed(SavedModel.DescriptionEntry, content => Replace(content, "\"mlp-32\"", "\"blp-32\""))),
        "'blp-32' is not an architecture");

    [TestMethod]
    public void Fewer_labels_than_classes() => AssertRefused(
        Rewrite(Resealed(SavedModel.DescriptionEntry, content => Replace(content, "\"Count\": 10", "\"Count\": 11"))),
        "10 label values for 11 classes");

    private static void AssertRefused(byte[] zip, string reason)
    {
        var error = Assert.Throws<Exception>(() => SavedModel.Load(zip));
        // ML.NET wraps the exceptions of a component's constructor.
        while (error is not FormatException)
        {
            Assert.IsNotNull(error.InnerException, $"{error}");
            error = error.InnerException;
        }
        StringAssert.Contains(error.Message, reason);
    }

    /// <summary>Changes an entry, and its length and digest in the header.</summary>
    private static Func<string, byte[], byte[]?> Resealed(string entry, Func<byte[], byte[]> change)
    {
        var old = SavedModel.Read(Model.Value, entry);
        var changed = change([.. old]);
        return (name, content) =>
        {
            if (name == entry)
                return changed;
            var seal = content.AsSpan().IndexOf(SHA256.HashData(old));
            if (seal >= 0)
            {
                BinaryPrimitives.WriteInt64LittleEndian(content.AsSpan(seal - sizeof(long)), changed.Length);
                SHA256.HashData(changed).CopyTo(content.AsSpan(seal));
            }
            return content;
        };
    }

    private static byte[] Replace(byte[] json, string old, string replacement)
    {
        var text = Encoding.UTF8.GetString(json);
        StringAssert.Contains(text, old);
        return Encoding.UTF8.GetBytes(text.Replace(old, replacement, StringComparison.Ordinal));
    }

    /// <summary>The file with every entry next to the weights passed through <paramref name="change"/>. Null removes an entry.</summary>
    private static byte[] Rewrite(Func<string, byte[], byte[]?> change)
    {
        using var rewritten = new MemoryStream();
        using (var source = new ZipArchive(new MemoryStream(Model.Value)))
        using (var target = new ZipArchive(rewritten, ZipArchiveMode.Create))
        {
            var folder = FolderOf(source.Entries.Single(e => e.Name == SavedModel.WeightsEntry).FullName);
            foreach (var entry in source.Entries)
            {
                using var content = new MemoryStream();
                using (var stream = entry.Open())
                    stream.CopyTo(content);
                var bytes = FolderOf(entry.FullName) == folder ? change(entry.Name, content.ToArray()) : content.ToArray();
                if (bytes is null)
                    continue;
                using var written = target.CreateEntry(entry.FullName).Open();
                written.Write(bytes);
            }
        }
        return rewritten.ToArray();

        static string FolderOf(string path) => path[..(path.LastIndexOfAny(['/', '\\']) + 1)];
    }
}
