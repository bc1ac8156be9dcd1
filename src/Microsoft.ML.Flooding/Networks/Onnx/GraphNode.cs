using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks.Onnx;

/// <summary>A node of a graph with its attributes by name.</summary>
/// <param name="proto">The node in the file.</param>
/// <param name="opset">The version of the operators.</param>
internal sealed class GraphNode(NodeProto proto, long opset)
{
    public string Operator => proto.OpType;

    /// <summary>The version of the operators.</summary>
    public long Opset => opset;

    /// <summary>The names of the inputs; "" for an omitted optional input.</summary>
    public IReadOnlyList<string> Inputs => proto.Input;

    /// <summary>The names of the outputs; "" for an unused output.</summary>
    public IReadOnlyList<string> Outputs => proto.Output;

    public bool Has(string attribute) => Find(attribute) is not null;

    public long Integer(string attribute, long absent) => Find(attribute) is not { } found ? absent
        : found.HasI ? found.I
        : throw Wrong($"the attribute '{attribute}' is not an integer");

    public double Number(string attribute, double absent) => Find(attribute) is not { } found ? absent
        : found.HasF ? found.F
        : throw Wrong($"the attribute '{attribute}' is not a number");

    public string Text(string attribute, string absent) => Find(attribute) is not { } found
        ? absent
        : found.S?.ToStringUtf8() ?? throw Wrong($"the attribute '{attribute}' is not text");

    public long[]? Integers(string attribute) => Find(attribute) is { } found ? [.. found.Ints] : null;

    /// <summary>Two integers, for height and width.</summary>
    public long[] Pair(string attribute, long absent) => Integers(attribute) switch
    {
        null => [absent, absent],
        { Length: 2 } pair => pair,
        var other => throw Wrong($"'{attribute}' is {ShapeOperators.Describe(other)}; it must have two values, for height and width"),
    };

    public Tensor? Tensor(string attribute) => Find(attribute) is { T: { } value } ? OnnxTensor.Read(value) : null;

    public double[]? Numbers(string attribute) => Find(attribute) is { } found ? [.. found.Floats.Select(value => (double)value)] : null;

    /// <summary>An axis as an index from 0.</summary>
    /// <param name="axis">The axis; counted from the end if it is negative.</param>
    /// <param name="rank">The number of axes.</param>
    public int Axis(long axis, int rank) => axis >= -rank && axis < rank
        ? (int)(axis < 0 ? axis + rank : axis)
        : throw Wrong($"axis {axis} does not exist in a value with {rank} axes");

    public InvalidDataException Wrong(string what, Exception? inner = null) => new($"{this}: {what}.", inner);

    public override string ToString() => $"{Operator} node '{(proto.Name.Length > 0 ? proto.Name : proto.Output.FirstOrDefault())}'";

    private AttributeProto? Find(string name) => proto.Attribute.FirstOrDefault(attribute => attribute.Name == name);
}
