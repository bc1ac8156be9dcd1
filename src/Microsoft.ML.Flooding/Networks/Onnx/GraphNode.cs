using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks.Onnx;

/// <summary>A node of a graph with its attributes by name.</summary>
/// <param name="proto">As the file has it.</param>
/// <param name="opset">The version of the operators.</param>
internal sealed class GraphNode(NodeProto proto, long opset)
{
    public string Operator => proto.OpType;

    /// <summary>The version of the operators.</summary>
    public long Opset => opset;

    /// <summary>Names of values; "" where an optional one is left out.</summary>
    public IReadOnlyList<string> Inputs => proto.Input;

    /// <summary>Names of values; "" where one is not asked for.</summary>
    public IReadOnlyList<string> Outputs => proto.Output;

    public bool Has(string attribute) => Find(attribute) is not null;

    public long Integer(string attribute, long absent) => Find(attribute) is { } found ? found.HasI ? found.I
        : throw Wrong($"the attribute '{attribute}' is no integer") : absent;

    public double Number(string attribute, double absent) => Find(attribute) is { } found ? found.HasF ? found.F
        : throw Wrong($"the attribute '{attribute}' is no number") : absent;

    public string Text(string attribute, string absent) => Find(attribute) is { } found ? found.S?.ToStringUtf8()
        ?? throw Wrong($"the attribute '{attribute}' is no text") : absent;

    public long[]? Integers(string attribute) => Find(attribute) is { } found ? [.. found.Ints] : null;

    /// <summary>Two integers: for height and width.</summary>
    public long[] Pair(string attribute, long absent) => Integers(attribute) switch
    {
        null => [absent, absent],
        { Length: 2 } pair => pair,
        var other => throw Wrong($"'{attribute}' is {ShapeOperators.Describe(other)}, where height and width have two values"),
    };

    public Tensor? Tensor(string attribute) => Find(attribute) is { T: { } value } ? OnnxTensor.Read(value) : null;

    public double[]? Numbers(string attribute) => Find(attribute) is { } found ? [.. found.Floats.Select(value => (double)value)] : null;

    /// <param name="axis">Counted from the end where it is negative.</param>
    /// <param name="rank">The number of axes.</param>
    public int Axis(long axis, int rank) => axis >= -rank && axis < rank
        ? (int)(axis < 0 ? axis + rank : axis)
        : throw Wrong($"there is no axis {axis} in a value of {rank} axes");

    public InvalidDataException Wrong(string what, Exception? inner = null) => new($"{this}: {what}.", inner);

    public override string ToString() => $"{Operator} node '{(proto.Name.Length > 0 ? proto.Name : proto.Output.FirstOrDefault())}'";

    private AttributeProto? Find(string name) => proto.Attribute.FirstOrDefault(attribute => attribute.Name == name);
}
