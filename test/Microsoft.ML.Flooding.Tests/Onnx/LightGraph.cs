using Google.Protobuf;
using Microsoft.ML.Flooding.Networks.Onnx;

namespace Microsoft.ML.Flooding.Tests.Onnx;

/// <summary>
/// A model of the zoo whose weights nodes ConstantOfShape stand for, filled with random ones that keep activations of order 1.
/// </summary>
internal static class LightGraph
{
    public static byte[] Fill(string path)
    {
        var random = new Random(7);
        var model = ModelProto.Parser.ParseFrom(System.IO.File.ReadAllBytes(path));
        var graph = model.Graph;
        // Format version 4 and later need not list initializers among the inputs.
        model.IrVersion = 8;
        var shapes = graph.Initializer.Where(tensor => tensor.DataType == TensorProto.Types.DataType.Int64).ToDictionary(tensor =>
            tensor.Name);
        var readers = new Dictionary<string, (string Operator, int Index)>();
        foreach (var node in graph.Node)
            foreach (var (index, input) in node.Input.Index())
                readers.TryAdd(input, (node.OpType, index));
        foreach (var node in graph.Node.Where(node => node.OpType == "ConstantOfShape").ToList())
        {
            graph.Node.Remove(node);
            var dims = Shape(shapes[node.Input[0]]);
            var (lowest, highest) = readers[node.Output[0]] switch
            {
                ("BatchNormalization", 1 or 4) => (0.5, 1.5),
                _ when dims.Length == 1 => (-0.2, 0.2),
                _ => (-Math.Sqrt(3.0 / dims.Skip(1).Aggregate(1L, (a, b) => a * b)),
                    Math.Sqrt(3.0 / dims.Skip(1).Aggregate(1L, (a, b) => a * b))),
            };
            var values = new float[dims.Aggregate(1L, (a, b) => a * b)];
            for (var i = 0; i < values.Length; i++)
                values[i] = (float)(lowest + ((highest - lowest) * random.NextDouble()));
            graph.Initializer.Add(new TensorProto
            {
                Name = node.Output[0],
                Dims = { dims },
                DataType = TensorProto.Types.DataType.Float,
                RawData = ByteString.CopyFrom(System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(values)),
            });
        }
        return model.ToByteArray();
    }

    private static long[] Shape(TensorProto tensor) =>
        tensor.RawData.IsEmpty ? [.. tensor.Int64Data]
            : System.Runtime.InteropServices.MemoryMarshal.Cast<byte, long>(tensor.RawData.Span).ToArray();
}
