using System.IO.Compression;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Tests.Scoring;
using TorchSharp;
using TorchSharp.PyBridge;
using static Microsoft.ML.Flooding.Tests.Networks.TorchFile;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Networks;

[TestClass]
public sealed class PyTorchFileTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    /// <summary>Python's pickle module wrote the file, in the form of torch.save: a checkpoint that contains a state_dict.</summary>
    [TestMethod]
    public void A_checkpoint_by_Pythons_pickler_gives_its_tensors()
    {
        using var file = PyTorchFile.Read(File.OpenRead(Path.Combine(Fixtures.Weights, "state-dict.pth")));
        CollectionAssert.AreEqual(
            new[] { "conv.weight", "transposed", "row", "half", "brain", "num_batches_tracked" }
                .Select(name => "state_dict." + name).ToList(),
            file.Entries.Select(entry => entry.Name).ToList());
        var values = arange(0, 12, ScalarType.Float32).reshape(3, 4);
        AssertEqual(values, file.Load("state_dict.conv.weight"));
        AssertEqual(values.t(), file.Load("state_dict.transposed"));
        Assert.IsTrue(file.Load("state_dict.transposed").is_contiguous());
        AssertEqual(values[1], file.Load("state_dict.row"));
        AssertEqual(tensor(new[] { 0.5f, -1.5f, 2.25f }).to(ScalarType.Float16), file.Load("state_dict.half"));
        AssertEqual(tensor(new[] { 1f, -2f, 0.5f, 3f }).reshape(2, 2).to(ScalarType.BFloat16), file.Load("state_dict.brain"));
        AssertEqual(tensor(7L), file.Load("state_dict.num_batches_tracked"));
        Assert.AreEqual(0, file.Load("state_dict.num_batches_tracked").ndim);
    }

    /// <summary>TorchSharp.PyBridge writes the format with its own code and Razorvine.Pickle.</summary>
    [TestMethod]
    public void What_another_library_wrote_is_read()
    {
        using var path = new TemporaryFile(".pth");
        // It accepts only row-major tensors.
        using var source = Architecture.ResNet18.WithBaseWidth(4).CreateEmpty(new(32, 32, 3), RandomModel.Classes);
        source.save_py(path.Path);
        using var target = RandomModel.CreateNetwork(Architecture.ResNet18.WithBaseWidth(4), new(32, 32, 3), seed: 2);
        var report = PretrainedWeights.Load(target, path.Path);
        Assert.IsEmpty(report.Missing);
        Assert.IsEmpty(report.Skipped);
        foreach (var ((name, a), (_, b)) in source.State().Zip(target.State()))
            Assert.IsTrue(a.Equals(b), name);
    }

    [TestMethod]
    [DataRow("DoubleStorage", ScalarType.Float64, 8)]
    [DataRow("FloatStorage", ScalarType.Float32, 4)]
    [DataRow("HalfStorage", ScalarType.Float16, 2)]
    [DataRow("BFloat16Storage", ScalarType.BFloat16, 2)]
    [DataRow("LongStorage", ScalarType.Int64, 8)]
    [DataRow("IntStorage", ScalarType.Int32, 4)]
    [DataRow("ShortStorage", ScalarType.Int16, 2)]
    [DataRow("CharStorage", ScalarType.Int8, 1)]
    [DataRow("ByteStorage", ScalarType.Byte, 1)]
    [DataRow("BoolStorage", ScalarType.Bool, 1)]
    public void Every_type_is_read(string storage, ScalarType type, int size)
    {
        var values = tensor(new long[] { 0, 1, 1, 0, 1, 0 }).to(type);
        using var file = Read(Dictionary(("a", Tensor([2, 3], type: storage))), values.bytes.ToArray());
        Assert.AreEqual(6 * size, values.bytes.Length);
        AssertEqual(values.reshape(2, 3), file.Load("a"));
        Assert.AreEqual(type, file.Entries[0].Type);
    }

    [TestMethod]
    public void Views_of_one_storage_are_read_each_by_itself()
    {
        using var file = Read(
            Dictionary(
                ("all", Tensor([2, 6])), ("columns", Tensor([2, 2], [6, 3], 1, count: 12)),
                ("expanded", Tensor([3, 4], [0, 1], 8, count: 12)),
                ("empty", Tensor([0, 5], count: 12)), ("scalar", Tensor([], offset: 11, count: 12))),
            Floats(12));
        var all = arange(0, 12, ScalarType.Float32);
        AssertEqual(all.reshape(2, 6), file.Load("all"));
        AssertEqual(tensor(new[] { 1f, 4, 7, 10 }).reshape(2, 2), file.Load("columns"));
        AssertEqual(all[8..].expand(3, 4), file.Load("expanded"));
        CollectionAssert.AreEqual(new long[] { 0, 5 }, file.Load("empty").shape);
        AssertEqual(tensor(11f), file.Load("scalar"));
    }

    [TestMethod]
    public void Parameters_and_untyped_storages_are_read()
    {
        var parameter = "ctorch._utils\n_rebuild_parameter\n(" + Tensor([2], count: 4) + "\x88" + OrderedDictionary + "tR";
        var typed = "ctorch._utils\n_rebuild_tensor_v3\n(("
            + Text("storage") + "ctorch.storage\nUntypedStorage\n" + Text("0") + Text("cpu") + Number(16) + "tQ"
            + Number(2) + Tuple(2) + Tuple(1) + "\x89" + OrderedDictionary + "ctorch\nfloat32\ntR";
        using var file = Read(Dictionary(("p", parameter), ("t", typed)), Floats(4));
        AssertEqual(tensor(new[] { 0f, 1 }), file.Load("p"));
        AssertEqual(tensor(new[] { 2f, 3 }), file.Load("t"));
    }

    [TestMethod]
    public void A_dictionary_of_pairs_is_read()
    {
        using var file = Read(
            "ccollections\nOrderedDict\n](" + Text("a") + Tensor([2]) + "\x86" + Text("b") + Tensor([1], count: 2) + "\u0086e\u0085R",
            Floats(2));
        AssertEqual(tensor(new[] { 0f, 1 }), file.Load("a"));
        AssertEqual(tensor(new[] { 0f }), file.Load("b"));
    }

    [TestMethod]
    [DataRow("os", "system")]
    [DataRow("posix", "system")]
    [DataRow("builtins", "eval")]
    [DataRow("builtins", "exec")]
    [DataRow("builtins", "set")]
    [DataRow("__builtin__", "bytearray")]
    [DataRow("subprocess", "Popen")]
    [DataRow("collections", "Counter")]
    [DataRow("datetime", "datetime")]
    [DataRow("decimal", "Decimal")]
    [DataRow("numpy.core.multiarray", "scalar")]
    [DataRow("argparse", "Namespace")]
    [DataRow("torchvision.models.resnet", "ResNet")]
    [DataRow("torch", "ComplexFloatStorage")]
    [DataRow("torch._utils", "_rebuild_sparse_tensor")]
    [DataRow("torch._utils._rebuild_tensor_v2", "__globals__")]
    [DataRow("torch", "_utils._rebuild_tensor_v3\0")]
    public void Every_other_name_is_refused_by_name(string module, string name)
    {
        // Called or only referenced, at the top level or nested.
        foreach (var body in new[]
        {
            $"c{module}\n{name}\n(" + Text("echo") + "tR",
            Dictionary(("a", Tensor([2])), ("b", $"c{module}\n{name}\n")),
            Dictionary(("a", Tensor([2])), ("b", Dictionary(("c", $"](c{module}\n{name}\n)Re")))),
        })
        {
            AssertRefused(Write(body, ("data/0", Floats(2))), $"'{module}.{name}'", "state_dict");
        }
    }

    [TestMethod]
    [DataRow("instance", "(i__main__\nA\n")]
    [DataRow("object", "(c__main__\nA\no")]
    [DataRow("new object", "ccollections\nOrderedDict\n)\x81")]
    [DataRow("stack global", "\x8C\x02os\x8C\x06system\x93")]
    [DataRow("extension", "\x82\x01")]
    [DataRow("persistent text", "Pstorage\n")]
    [DataRow("nothing", "")]
    [DataRow("mark as a value", "((t")]
    [DataRow("no mark", "Nt")]
    [DataRow("unset memo", "h\x07")]
    [DataRow("negative length", "X\xFF\xFF\xFF\xFF")]
    [DataRow("length beyond the end", "X\xFF\xFF\xFF\x7F")]
    [DataRow("name without end", "cos")]
    [DataRow("call of a text", "X\x01\0\0\0a)R")]
    [DataRow("call of null", "N)R")]
    [DataRow("call with null", "ccollections\nOrderedDict\nNR")]
    [DataRow("append to null", "NK\u0001a")]
    [DataRow("items of a list", "](X\x01\0\0\0aK\x01u")]
    [DataRow("state of a list", "]}b")]
    [DataRow("arguments", "ccollections\nOrderedDict\n(K\x01tR")]
    [DataRow("odd pairs", "ccollections\nOrderedDict\n](X\x01\0\0\0q\u0085e\u0085R")]
    [DataRow("tensor of nothing", "ctorch._utils\n_rebuild_tensor_v2\n)R")]
    [DataRow("storage of a number", "K\x01Q")]
    [DataRow("storage of null", "NQ")]
    [DataRow("a tensor alone", "T")]
    [DataRow("a dictionary of numbers", "}X\x01\0\0\0aK\x01s")]
    [DataRow("a list", "](K\u0001K\u0002e")]
    public void A_hostile_pickle_is_refused(string what, string body) =>
        AssertRefused(Write(body == "T" ? Tensor([2]) : body, ("data/0", Floats(2))), "", what);

    [TestMethod]
    [DataRow(new long[] { 3 }, new long[] { 1 }, 0L, 2L, "outside")]
    [DataRow(new long[] { 2 }, new long[] { 1 }, 1L, 2L, "outside")]
    [DataRow(new long[] { 2, 2 }, new long[] { 2, 1 }, 0L, 2L, "outside")]
    [DataRow(new long[] { -2 }, new long[] { 1 }, 0L, 2L, "-2")]
    [DataRow(new long[] { 2 }, new long[] { -1 }, 1L, 2L, "-1")]
    [DataRow(new long[] { 2 }, new long[] { 1 }, -1L, 2L, "-1")]
    [DataRow(new long[] { 2 }, new long[] { 1, 1 }, 0L, 2L, "strides")]
    [DataRow(new long[] { long.MaxValue, 2 }, new long[] { 1, 1 }, 0L, 2L, "damaged")]
    [DataRow(new long[] { 2, 2 }, new long[] { long.MaxValue, 1 }, 0L, 2L, "damaged")]
    [DataRow(new long[] { 2 }, new long[] { 1 }, long.MaxValue, 2L, "damaged")]
    [DataRow(new long[] { 2 }, new long[] { 1 }, 0L, long.MaxValue, "damaged")]
    [DataRow(new long[] { 2 }, new long[] { 1 }, 0L, -2L, "storage")]
    [DataRow(new long[] { 0, long.MaxValue, long.MaxValue }, new long[] { 1, 1, 1 }, 0L, 2L, "damaged")]
    // A terabyte of one value is legal, but a file of a few bytes must not allocate it.
    [DataRow(new long[] { 1L << 38 }, new long[] { 0 }, 0L, 2L, "claims")]
    [DataRow(new long[] { 2 }, new long[] { 1 }, 0L, 4L, "has only 8 of 16 bytes")]
    public void A_tensor_that_lies_about_its_size_is_refused(long[] shape, long[] strides, long offset, long count, string word) =>
        AssertRefused(Write(Dictionary(("a", Tensor(shape, strides, offset, count: count))), ("data/0", Floats(2))), word);

    [TestMethod]
    public void Dictionaries_in_a_circle_or_of_exponential_size_are_read_once()
    {
        // a = {t: tensor, self: a}
        var circle = OrderedDictionary + "q\x01(" + Text("t") + Tensor([2]) + Text("self") + "h\x01u";
        using (var file = Read(circle, Floats(2)))
            Assert.AreEqual("t", file.Entries.Single().Name);

        // 12 dictionaries, each with the one before it twice, and so on.
        var doubled = Dictionary(("t", Tensor([2]))) + "q\x00" + string.Concat(Enumerable.Range(1, 12).Select(i =>
            OrderedDictionary + "(" + Text("a") + $"h{(char)(i - 1)}" + Text("b") + $"h{(char)(i - 1)}u" + $"q{(char)i}"));
        using (var file = Read(doubled, Floats(2)))
            Assert.HasCount(1, file.Entries);
    }

    [TestMethod]
    public void Nothing_takes_more_memory_than_the_file_could_need()
    {
        AssertRefused(Write("]" + new string(']', 1_500_000)), "lists");
        var deep = string.Concat(Enumerable.Repeat(OrderedDictionary + Text("k"), 1000)) + Tensor([2]) + new string('s', 1000);
        AssertRefused(Write(deep, ("data/0", Floats(2))), "no tensors");
        AssertRefused(Write(Dictionary((new string('n', 2000), Tensor([2]))), ("data/0", Floats(2))), "characters");
        var names = string.Concat(Enumerable.Range(0, 100_001).Select(i => Text($"{i}") + "h\x00"));
        AssertRefused(Write(Tensor([2]) + "q\x00" + OrderedDictionary + "(" + names + "u", ("data/0", Floats(2))), "100,000");
        // 80 MB of zeros in a file of less than 1 MB.
        AssertRefused(
            Archive(
                [("archive/data.pkl", Latin1("\x80\x02" + Dictionary(("a", Tensor([20 << 20]))) + ".")),
                    ("archive/data/0", new byte[80 << 20])], CompressionLevel.Fastest),
            "claims");
        AssertRefused(
            Archive(
                [("archive/data.pkl", Latin1("\x80\x02" + Dictionary(("a", Tensor([2], [(20 << 20) - 1], count: 20 << 20))) + ".")),
                    ("archive/data/0", new byte[80 << 20])], CompressionLevel.Fastest),
            "claims");
        AssertRefused(
            Archive([("archive/data.pkl", new byte[33 << 20])]), "33,554,432");
    }

    [TestMethod]
    public void Entries_that_are_missing_doubled_or_foreign_are_refused()
    {
        AssertRefused(Write(Dictionary(("a", Tensor([2])))), "archive/data/0");
        AssertRefused(Write(Dictionary(("a", Tensor([2], key: "../../etc/passwd")))), "passwd");
        AssertRefused(Write(Dictionary(("a", Tensor([2]))), ("data/0", Floats(2)), ("data/0", Floats(2))), "two entries");
        AssertRefused(Archive([("a/data.pkl", Latin1(".")), ("b/data.pkl", Latin1("."))]), "other files");
        AssertRefused(
            Archive(
                [("archive/data.pkl", Latin1("\x80\x02" + Dictionary(("a", Tensor([2]))) + ".")),
                    ("archive/byteorder", Latin1("big")), ("archive/data/0", Floats(2))]),
            "big-endian");
    }

    [TestMethod]
    public void Every_damaged_byte_is_refused_or_harmless()
    {
        var whole = Write(
            Dictionary(("a", Tensor([2, 3])), ("b", Dictionary(("c", Tensor([3], [2], 1, count: 6))))), ("data/0", Floats(6)));
        var random = new Random(1);
        for (var i = 0; i < 3000; i++)
        {
            byte[] bytes = [.. whole];
            for (var n = random.Next(1, 4); n > 0; n--)
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            try
            {
                using var scope = NewDisposeScope();
                using var file = PyTorchFile.Read(
                    new MemoryStream(bytes, 0, random.Next(4) == 0 ? random.Next(bytes.Length) : bytes.Length));
                file.LoadAll();
            }
            catch (InvalidDataException)
            {
            }
        }
    }

    private static PyTorchFile Read(string body, byte[] storage) => PyTorchFile.Read(new MemoryStream(Write(body, ("data/0", storage))));

    private static void AssertRefused(byte[] file, string word, string other = "")
    {
        var e = Assert.ThrowsExactly<InvalidDataException>(() => PyTorchFile.Read(new MemoryStream(file)), other);
        StringAssert.Contains(e.Message, word);
    }

    private static void AssertEqual(Tensor expected, Tensor actual) =>
        Assert.IsTrue(expected.Equals(actual), $"{expected.str()}\n{actual.str()}");
}
