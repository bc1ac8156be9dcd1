using Google.Protobuf;
using Microsoft.ML.Flooding.Networks.Onnx;
using Attributes = Microsoft.ML.Flooding.Networks.Onnx.AttributeProto.Types.AttributeType;

namespace Microsoft.ML.Flooding.Tests.Onnx;

/// <summary>An ONNX graph, written node by node, with random weights.</summary>
internal sealed class TestGraph
{
    private readonly Random _random = new(5);

    /// <param name="opset">The version of the operators.</param>
    /// <param name="sizes">Of the input's axes; null for an open one.</param>
    public TestGraph(long opset, params long?[] sizes)
    {
        var shape = new TensorShapeProto();
        foreach (var size in sizes)
            shape.Dim.Add(size is { } known ? new TensorShapeProto.Types.Dimension { DimValue = known }
                : new TensorShapeProto.Types.Dimension { DimParam = "batch" });
        Model = new ModelProto
        {
            IrVersion = 8,
            OpsetImport = { new OperatorSetIdProto { Version = opset } },
            Graph = new GraphProto { Name = "test", Input = { Value(Input, shape) } },
        };
    }

    public string Input { get; } = "x";

    public ModelProto Model { get; }

    /// <summary>Random weights, of order 1 over what a unit sums.</summary>
    public string Weights(params long[] shape)
    {
        var bound = shape.Length > 1 ? Math.Sqrt(3.0 / shape.Skip(1).Aggregate(1L, (a, b) => a * b)) : 0.5;
        return Floats(shape, [.. Enumerable.Range(0, (int)shape.Aggregate(1L, (a, b) => a * b)).Select(_ =>
            (float)((2 * _random.NextDouble() - 1) * bound))]);
    }

    /// <summary>From 0.5 to 1.5.</summary>
    public string Positive(params long[] shape) =>
        Floats(shape, [.. Enumerable.Range(0, (int)shape.Aggregate(1L, (a, b) => a * b)).Select(_ => 0.5f + _random.NextSingle())]);

    public string Floats(long[] shape, params float[] values) =>
        Add(new TensorProto { DataType = TensorProto.Types.DataType.Float, Dims = { shape }, FloatData = { values } });

    public string Integers(params long[] values) =>
        Add(new TensorProto { DataType = TensorProto.Types.DataType.Int64, Dims = { values.Length }, Int64Data = { values } });

    public string Integer(long value) => Add(new TensorProto { DataType = TensorProto.Types.DataType.Int64, Int64Data = { value } });

    public string Add(TensorProto tensor)
    {
        tensor.Name = $"w{Model.Graph.Initializer.Count}";
        Model.Graph.Initializer.Add(tensor);
        return tensor.Name;
    }

    public string Node(string type, string[] inputs, params (string Name, object Value)[] attributes) =>
        Nodes(type, inputs, 1, attributes)[0];

    public string[] Nodes(string type, string[] inputs, int outputs, params (string Name, object Value)[] attributes)
    {
        var node = new NodeProto { OpType = type, Name = $"{type}_{Model.Graph.Node.Count}", Input = { inputs } };
        node.Output.Add(Enumerable.Range(0, outputs).Select(i => $"{node.Name}_{i}"));
        foreach (var (name, value) in attributes)
        {
            node.Attribute.Add(value switch
            {
                long number => new AttributeProto { Name = name, Type = Attributes.Int, I = number },
                int number => new AttributeProto { Name = name, Type = Attributes.Int, I = number },
                double number => new AttributeProto { Name = name, Type = Attributes.Float, F = (float)number },
                long[] numbers => new AttributeProto { Name = name, Type = Attributes.Ints, Ints = { numbers } },
                string text => new AttributeProto { Name = name, Type = Attributes.String, S = ByteString.CopyFromUtf8(text) },
                TensorProto tensor => new AttributeProto { Name = name, Type = Attributes.Tensor, T = tensor },
                _ => throw new ArgumentOutOfRangeException(nameof(attributes)),
            });
        }
        Model.Graph.Node.Add(node);
        return [.. node.Output];
    }

    /// <summary>The file with a result.</summary>
    public byte[] File(string output)
    {
        Model.Graph.Output.Clear();
        Model.Graph.Output.Add(Value(output, null));
        return Model.ToByteArray();
    }

    private static ValueInfoProto Value(string name, TensorShapeProto? shape) => new()
    {
        Name = name,
        Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = TensorProto.Types.DataType.Float, Shape = shape } },
    };
}
