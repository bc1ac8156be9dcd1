using Google.Protobuf;
using Microsoft.ML.Flooding.Networks.Onnx;

namespace Microsoft.ML.Flooding.Tests.Onnx;

/// <summary>Files that are damaged, or made to do harm: an error that says what is wrong, and no memory beyond the file's.</summary>
[TestClass]
public sealed class HostileOnnxTests
{
    private static readonly Dictionary<string, (string Message, Func<byte[]> File)> Cases = new()
    {
        ["no protobuf"] = ("no ONNX file", () => [1, 2, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255]),
        ["empty"] = ("no graph", () => []),
        ["a length that lies"] = ("no ONNX file", () => [0x3A, 0xFF, 0xFF, 0xFF, 0xFF, 0x07, 1]),
        ["an opset too new"] = ("opset 99", () => new TestGraph(99, 1, 3, 8, 8).File("x")),
        ["an opset too old"] = ("opset 6", () => new TestGraph(6, 1, 3, 8, 8).File("x")),
        ["an unknown operator"] = ("Resize node 'Resize_0'", () => Graph((g, x) => g.Node("Resize", [x]))),
        ["an operator of others"] = ("com.microsoft", () => Graph((g, x) =>
        {
            var y = g.Node("FusedConv", [x]);
            g.Model.Graph.Node[0].Domain = "com.microsoft";
            return y;
        })),
        ["a cycle"] = ("needs its own result", () => Graph((g, x) =>
        {
            var y = g.Node("Add", [x, "Relu_1_0"]);
            return g.Node("Relu", [y]);
        })),
        ["a node of itself"] = ("needs its own result", () => Graph((g, x) => g.Node("Add", [x, "Add_0_0"]))),
        ["a missing input"] = ("nothing gives the value 'nowhere'", () => Graph((g, x) => g.Node("Add", [x, "nowhere"]))),
        ["a missing result"] = ("nothing gives the value 'nowhere'", () => Graph((g, x) => "nowhere")),
        ["a value given twice"] = ("given twice", () => Graph((g, x) =>
        {
            var y = g.Node("Relu", [x]);
            g.Node("Relu", [x]);
            g.Model.Graph.Node[1].Output[0] = y;
            return y;
        })),
        ["too few inputs"] = ("its input 2 is missing", () => Graph((g, x) => g.Node("Add", [x]))),
        ["two inputs"] = ("2 inputs", () => Graph((g, x) =>
        {
            g.Model.Graph.Input.Add(new ValueInfoProto { Name = "z" });
            return g.Node("Add", [x, "z"]);
        })),
        ["a result that no image is needed for"] = ("does not depend on the image", () => Graph((g, x) =>
        {
            var shape = g.Node("Shape", [x]);
            return g.Node("Cast", [shape], ("to", 1));
        })),
        ["a tensor of more than it has"] = ("does not go with", () => Graph((g, x) => g.Node("Conv", [x, g.Floats([1000, 3, 3, 3], 1)]))),
        ["raw data of a broken length"] = ("does not go with", () => Graph((g, x) => g.Node("Add", [x, Raw(g, [2], 7)]))),
        ["a shape that overflows"] = ("more than any memory", () => Graph((g, x) => g.Node("Add", [x, Raw(g, [1L << 40, 1L << 40], 8)]))),
        ["a negative shape"] = ("is no shape", () => Graph((g, x) => g.Node("Add", [x, Raw(g, [-1], 8)]))),
        ["weights out of nothing"] =
            ("constant values", () => Graph((g, x) => g.Node("Add", [x, g.Node("ConstantOfShape", [g.Integers(1 << 20, 1 << 20)])]))),
        ["weights out of a sum"] = ("constant values", () =>
            Graph((g, x) => g.Node("Add", [x, g.Node("Add", [g.Floats([4096, 1], new float[4096]), g.Floats([4096], new float[4096])])]))),
        ["weights out of an expansion"] =
            ("constant values", () => Graph((g, x) => g.Node("Add", [x, g.Node("Expand", [g.Floats([1], 1), g.Integers(1 << 30)])]))),
        ["a long range"] = ("no range", () =>
            Graph((g, x) => g.Node("Gather", [x, g.Node("Range", [g.Integer(0), g.Integer(1L << 40), g.Integer(1)])], ("axis", 1)))),
        ["a huge padding"] = ("impossible", () =>
            Graph((g, x) => g.Node("MaxPool", [x], ("kernel_shape", new long[] { 1, 1 }), ("pads", new long[] { 1L << 40, 0, 0, 0 })))),
        ["a huge image"] = ("values for one image", () =>
            Graph((g, x) => g.Node("Pad", [x, g.Integers(0, 0, 1 << 20, 1 << 20, 0, 0, 0, 0)]))),
        ["an image beyond numbers"] =
            ("Pad node", () => Graph((g, x) => g.Node("Pad", [x, g.Integers(0, 0, long.MaxValue, 1, 0, 0, 1, 1)]))),
        ["a kernel of nothing"] = ("impossible", () => Graph((g, x) => g.Node("MaxPool", [x], ("kernel_shape", new long[] { 0, 0 })))),
        ["a window too large"] = ("does not fit", () => Graph((g, x) => g.Node("MaxPool", [x], ("kernel_shape", new long[] { 9, 9 })))),
        ["weights of other channels"] = ("5 channels", () => Graph((g, x) => g.Node("Conv", [x, g.Weights(4, 5, 3, 3)]))),
        ["weights without values"] = ("do not go together", () => Graph((g, x) => g.Node("Conv", [x, g.Floats([0, 3, 3, 3])]))),
        ["groups that do not divide"] = ("groups", () => Graph((g, x) => g.Node("Conv", [x, g.Weights(4, 1, 3, 3)], ("group", 3)))),
        ["shapes that do not go together"] = ("cannot be broadcast", () => Graph((g, x) => g.Node("Add", [x, g.Weights(7)]))),
        ["an axis that is not there"] = ("no axis 9", () => Graph((g, x) => g.Node("Concat", [x, x], ("axis", 9)))),
        ["a reshape of other values"] = ("cannot be reshaped", () => Graph((g, x) => g.Node("Reshape", [x, g.Integers(1, 7)]))),
        ["an order that is none"] = ("not a permutation", () =>
            Graph((g, x) => g.Node("Transpose", [x], ("perm", new long[] { 0, 1, 1, 3 })))),
        ["images mixed"] = ("all images", () => Graph((g, x) => g.Node("ReduceMean", [x], ("axes", new long[] { 0 })))),
        ["a softmax over the images taken for classes"] =
            ("Its result is", () => Graph((g, x) => g.Node("Transpose", [g.Node("Flatten", [x])]))),
        ["an input that is no image"] = ("2 axes", () =>
        {
            var g = new TestGraph(13, 1, 10);
            return g.File(g.Node("Relu", [g.Input]));
        }
        ),
        ["images too large"] = ("not possible", () =>
        {
            var g = new TestGraph(13, 1, 3, 1L << 40, 8);
            return g.File(g.Node("Relu", [g.Input]));
        }
        ),
        ["a number where integers are needed"] =
            ("integers are expected", () => Graph((g, x) => g.Node("Reshape", [x, g.Floats([2], 1, -1)]))),
        ["external data outside"] =
            ("outside of the file's folder", () => Graph((g, x) => g.Node("Add", [x, External(g, "../secret", 12)]))),
        ["external data at an absolute path"] =
            ("outside of the file's folder", () => Graph((g, x) => g.Node("Add", [x, External(g, Path.GetFullPath("secret"), 12)]))),
        ["external data that is missing"] = ("Put it beside", () => Graph((g, x) => g.Node("Add", [x, External(g, "absent.data", 12)]))),
        ["external data of nowhere"] = ("not in which", () => Graph((g, x) => g.Node("Add", [x, External(g, "", 12)]))),
    };

    public static IEnumerable<string> Names => Cases.Keys;

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void Hostile_file_is_refused_with_the_reason(string name)
    {
        var (message, file) = Cases[name];
        var bytes = file();
        var before = Environment.WorkingSet;
        var e = Assert.ThrowsExactly<InvalidDataException>(() => OnnxCheck.Read(bytes));
        StringAssert.Contains(e.Message, message);
        StringAssert.Contains(e.Message, ".onnx' cannot be read as a network. ");
        Assert.IsLessThan(200L << 20, Environment.WorkingSet - before);
    }

    /// <summary>A chain as long as a file can make it takes neither the stack nor hours.</summary>
    [TestMethod]
    [Timeout(300_000)]
    public void Long_chain_is_read()
    {
        var g = new TestGraph(13, 1, 1, 2, 2);
        var x = g.Input;
        for (var i = 0; i < 20_000; i++)
            x = g.Node("Identity", [x]);
        Assert.IsNotNull(OnnxCheck.Read(g.File(x)));
    }

    /// <summary>Any byte of a file may be another one: it is read or refused, and nothing else happens.</summary>
    [TestMethod]
    public void Damaged_bytes_are_read_or_refused()
    {
        var file = Graph((g, x) => g.Node("Gemm",
            [g.Node("Reshape", [g.Node("Relu", [g.Node("Conv", [x, g.Weights(2, 3, 3, 3)])]), g.Integers(0, -1)]), g.Weights(72, 5)]));
        var random = new Random(1);
        for (var i = 0; i < 400; i++)
        {
            var damaged = (byte[])file.Clone();
            for (var j = 0; j <= i % 3; j++)
                damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            try
            {
                OnnxCheck.Read(i % 5 == 0 ? damaged[..random.Next(damaged.Length)] : damaged);
            }
            catch (InvalidDataException)
            {
            }
        }
    }

    /// <summary>A model file whose graph asks for more weights than it holds is refused before they get memory.</summary>
    [TestMethod]
    public void Graph_of_a_model_file_is_counted_without_memory()
    {
        var graph = new TestGraph(13, null, 3, 8, 8);
        string Missing(params long[] dims) => graph.Add(new TensorProto
        {
            DataType = TensorProto.Types.DataType.Float,
            Dims = { dims },
            DataLocation = TensorProto.Types.DataLocation.External,
        });
        var y = graph.Node("Conv", [graph.Input, Missing(1 << 20, 3, 8, 8)]);
        var content = graph.File(graph.Node("Conv", [y, Missing(1 << 20, 1 << 20, 1, 1)]));
        var architecture = Architecture.Load(Flooding.Networks.CustomArchitectures.NameOf("onnx:", content), content);
        var before = Environment.WorkingSet;
        Assert.IsGreaterThan(1e12, architecture.LeastParameters(new(8, 8, 3), 2));
        Assert.IsLessThan(200L << 20, Environment.WorkingSet - before);
        Assert.ThrowsExactly<InvalidDataException>(() => Architecture.Load(architecture.Name, null));
        Assert.ThrowsExactly<InvalidDataException>(() => Architecture.Load(architecture.Name, [.. content, 0]));
        Assert.ThrowsExactly<FormatException>(() => Architecture.Parse(architecture.Name));
    }

    [TestMethod]
    public void External_data_of_the_folder_is_read_within_its_bounds()
    {
        var folder = Directory.CreateTempSubdirectory("flooding-");
        try
        {
            var path = Path.Combine(folder.FullName, "model.onnx");
            File.WriteAllBytes(Path.Combine(folder.FullName, "weights.bin"),
                [0, 0, 0, 0, .. BitConverter.GetBytes(1f), .. BitConverter.GetBytes(2f), .. BitConverter.GetBytes(3f)]);
            File.WriteAllBytes(path, Graph((g, x) => g.Node("GlobalAveragePool", [g.Node("Add", [x, External(g, "weights.bin", 4)])])));
            var architecture = Architecture.FromOnnx(path, OnnxInput.Pixels);
            using var scope = TorchSharp.torch.NewDisposeScope();
            using var generator = new TorchSharp.torch.Generator(1);
            using var network = architecture.Create(new(8, 8, 3), 2, generator);
            CollectionAssert.AreEqual(new[] { 1f, 2f, 3f },
                network.Features(Flooding.Networks.TensorOperators.Instance, TorchSharp.torch.zeros(1, 3, 8, 8)).data<float>().ToArray());
            File.WriteAllBytes(path, Graph((g, x) => g.Node("Add", [x, External(g, "weights.bin", 8)])));
            StringAssert.Contains(Assert.ThrowsExactly<InvalidDataException>(() => Architecture.FromOnnx(path)).Message, "needs 12 bytes");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [TestMethod]
    public void Options_out_of_range_are_named()
    {
        var file = Graph((g, x) => g.Node("Relu", [x]));
        foreach (var (input, name) in new[]
        {
            (OnnxInput.Pixels with { Scale = 0 }, "Scale"), (OnnxInput.Pixels with { Mean = [1, 2] }, "Mean"),
                (OnnxInput.Pixels with { Deviation = [0] }, "Deviation"),
            (OnnxInput.Pixels with { CenterCrop = 2 }, "CenterCrop"), (OnnxInput.Pixels with { MeanImage = [1] }, "MeanImage"),
                (OnnxInput.Pixels with { Side = 0 }, "Side"),
            (OnnxInput.Pixels with { Layout = (OnnxLayout)9 }, "Layout"),
        })
        {
            try
            {
                OnnxCheck.Read(file, input);
                Assert.Fail(name);
            }
            catch (ArgumentException e)
            {
                StringAssert.Contains(e.Message, name);
            }
        }
    }

    private static byte[] Graph(Func<TestGraph, string, string> build)
    {
        var graph = new TestGraph(13, 1, 3, 8, 8);
        return graph.File(build(graph, graph.Input));
    }

    private static string Raw(TestGraph g, long[] dims, int bytes) => g.Add(new TensorProto
    {
        DataType = TensorProto.Types.DataType.Float,
        Dims = { dims },
        RawData = ByteString.CopyFrom(new byte[bytes]),
    });

    private static string External(TestGraph g, string location, long offset) => g.Add(new TensorProto
    {
        DataType = TensorProto.Types.DataType.Float,
        Dims = { 3, 1, 1 },
        DataLocation = TensorProto.Types.DataLocation.External,
        ExternalData =
        {
            new StringStringEntryProto { Key = "location", Value = location },
                new StringStringEntryProto { Key = "offset", Value = $"{offset}" },
        },
    });
}
