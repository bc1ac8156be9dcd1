using System.Runtime.InteropServices;
using Microsoft.ML.Flooding.Images;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks.Onnx;

/// <summary>
/// Reads a graph as the steps of a network for images of one size. What does not depend on the image is worked out at once: shapes, and
/// weights
/// that are rearranged. All that does becomes a step.
/// </summary>
internal sealed partial class OnnxImport
{
    // What constants may grow by beyond the file, in values: 4 MiB.
    private const long MostGrowth = 1 << 20;

    private readonly OnnxGraph _graph;
    private readonly GraphBuilder _builder;
    private readonly bool _allocates;
    private readonly Dictionary<string, OnnxValue> _values = [];
    private readonly Dictionary<string, int> _uses = [];
    private readonly Dictionary<(Tensor Values, bool IsLearned), ComputedValue> _constants = [];
    private long _growth;

    private Device Place => _allocates ? CPU : OnnxTensor.Nowhere;

    private OnnxImport(OnnxGraph graph, ImageShape shape, bool allocates)
    {
        _graph = graph;
        _allocates = allocates;
        _builder = new GraphBuilder([shape.Channels, shape.Height, shape.Width]);
        foreach (var name in graph.Nodes.SelectMany(node => node.Input).Append(graph.Output))
            _uses[name] = _uses.GetValueOrDefault(name) + 1;
    }

    /// <summary>The network of a graph.</summary>
    /// <param name="graph">From images [N, C, H, W].</param>
    /// <param name="shape">Of the images. Grey ones go through a colour network as three equal channels.</param>
    /// <param name="allocates">Whether weights that the graph has the shape of only get memory; else they stay without.</param>
    /// <exception cref="InvalidDataException">The graph holds what is not read, or is damaged; the message names the node.</exception>
    public static (GraphBuilder Builder, ComputedValue Output) Read(OnnxGraph graph, ImageShape shape, bool allocates)
    {
        var import = new OnnxImport(graph, shape, allocates);
        import._values[graph.Input] = import.ToChannels(shape);
        foreach (var proto in graph.Nodes)
            import.Read(new GraphNode(proto, graph.Opset));
        return import._values.GetValueOrDefault(graph.Output) is ComputedValue output
            ? (import._builder, output)
            : throw new InvalidDataException($"Its result '{graph.Output}' does not depend on the image.");
    }

    private ComputedValue ToChannels(ImageShape shape)
    {
        var image = _builder.Image;
        return (_graph.InputSizes is [_, { } channels, ..] ? channels : shape.Channels, shape.Channels) switch
        {
            var (own, given) when own == given => image,
            (3, 1) => _builder.Add(new GatherOperation(1, [0, 0, 0]), image),
            var (own, given) => throw new InvalidDataException($"The network takes images of {own} channels, and these have {given}."),
        };
    }

    private void Read(GraphNode node)
    {
        if (!Operators.TryGetValue(node.Operator, out var read))
            throw node.Wrong("this operator is not read");
        try
        {
            var results = read(this, node);
            for (var i = 0; i < node.Outputs.Count; i++)
            {
                if (node.Outputs[i].Length == 0)
                    continue;
                if (i < results.Length)
                    _values[node.Outputs[i]] = results[i];
                else if (_uses.ContainsKey(node.Outputs[i]))
                    throw node.Wrong($"its result '{node.Outputs[i]}' is not computed in scoring");
            }
        }
        catch (Exception e) when (e is ArgumentException or OverflowException or ExternalException)
        {
            throw node.Wrong(e.Message.Split('\n')[0].TrimEnd('.'), e);
        }
    }

    private OnnxValue Input(GraphNode node, int index) => Optional(node, index) ?? throw node.Wrong($"its input {index + 1} is missing");

    private OnnxValue? Optional(GraphNode node, int index)
    {
        if (index >= node.Inputs.Count || node.Inputs[index].Length == 0)
            return null;
        var name = node.Inputs[index];
        if (!_values.TryGetValue(name, out var value))
            _values[name] = value = new KnownValue(OnnxTensor.Read(_graph.Tensors[name]));
        return value;
    }

    /// <summary>The values of an input that must not depend on the image, nor on the number of images.</summary>
    private Tensor Fixed(GraphNode node, int index) => Input(node, index) is KnownValue { IsFixed: true } known
        ? known.ForOne
        : throw node.Wrong($"its input '{node.Inputs[index]}' is computed from the image; it is read where it is a constant only");

    private Tensor? OptionalFixed(GraphNode node, int index) => Optional(node, index) is null ? null : Fixed(node, index);

    private ComputedValue Computed(GraphNode node, int index) => Input(node, index) as ComputedValue
        ?? throw node.Wrong($"its input '{node.Inputs[index]}' does not depend on the image");

    private static long[] Integers(GraphNode node, Tensor values)
    {
        if (values.dtype != ScalarType.Int64 || values.device_type == DeviceType.META)
            throw node.Wrong("integers are expected where there are other values");
        return values.numel() == 0 ? [] : values.contiguous().data<long>().ToArray();
    }

    /// <summary>A single value.</summary>
    private static double Number(GraphNode node, Tensor values) => values.numel() == 1 && values.device_type != DeviceType.META
        ? values.to(ScalarType.Float64).item<double>()
        : throw node.Wrong("a single value is expected where there are others");

    /// <summary>An attribute in old versions of the operators, an input in new ones.</summary>
    private long[]? Axes(GraphNode node, string attribute, int index) =>
        node.Integers(attribute) ?? (OptionalFixed(node, index) is { } values ? Integers(node, values) : null);

    /// <summary>Applies an operation: at once where its operands are known, else as a step.</summary>
    private OnnxValue Apply(GraphNode node, GraphOperation operation, params OnnxValue[] operands)
    {
        if (operands.All(operand => operand is KnownValue))
        {
            var known = operands.Cast<KnownValue>().ToArray();
            return Fold(node, tensors => operation.Apply(TensorOperators.Instance, tensors), operation, known);
        }
        var isLearned = operands.Any(operand => operand is ComputedValue { IsLearned: true });
        return _builder.Add(operation,
            [.. operands.Select(operand => operand as ComputedValue ?? Constant(node, (KnownValue)operand, isLearned))]);
    }

    private KnownValue Fold(GraphNode node, Func<Tensor[], Tensor> compute, GraphOperation? operation, params KnownValue[] operands)
    {
        if (operation is not null)
            Grow(node, operation.Apply(ShapeOperators.Instance, [.. operands.Select(operand => operand.One)]).Aggregate(1L, (a, b) =>
                checked(a * b)) - operands.Sum(operand => operand.ForOne.numel()));
        var one = compute(OnOneDevice(operands.Select(operand => operand.ForOne)));
        return operands.All(operand => operand.IsFixed) ? new KnownValue(one)
            : new KnownValue(one, compute(OnOneDevice(operands.Select(operand => operand.ForTwo))));
    }

    /// <exception cref="InvalidDataException">A small file asks for much memory.</exception>
    private void Grow(GraphNode node, long values)
    {
        _growth = checked(_growth + Math.Max(0, values));
        if (_growth > MostGrowth)
            throw node.Wrong($"it makes {values:N0} constant values. A graph may make {MostGrowth:N0} beyond those that the file holds");
    }

    private static Tensor[] OnOneDevice(IEnumerable<Tensor> tensors)
    {
        var all = tensors.ToArray();
        return Array.Exists(all, tensor => tensor.device_type == DeviceType.META)
            ? [.. all.Select(tensor => tensor.to(OnnxTensor.Nowhere))] : all;
    }

    /// <summary>A known value as an operand of a step: learned, unless it is a single number or prepares the image.</summary>
    private ComputedValue Constant(GraphNode node, KnownValue known, bool isLearned)
    {
        if (!known.IsFixed)
            throw node.Wrong("it computes with the number of images");
        var learned = isLearned && known.ForOne.numel() > 1;
        if (!_constants.TryGetValue((known.ForOne, learned), out var value))
        {
            if (known.ForOne.dtype != ScalarType.Float32)
                throw node.Wrong("integers and truth values are read where they are constants only");
            value = _constants[(known.ForOne, learned)] =
                _builder.Add(new ConstantOperation(new GraphConstant(Own(known.ForOne), learned)));
        }
        return value;
    }

    /// <summary>A constant of the network's own making, as the windows' sizes at the borders.</summary>
    private ComputedValue Constant(Tensor values) => _builder.Add(new ConstantOperation(new GraphConstant(values, isLearned: false)));

    private Parameter Weight(Tensor values) => nn.Parameter(Own(values));

    /// <summary>A copy, row by row; of values that are not known, only memory for them.</summary>
    private Tensor Own(Tensor values) => values.device_type != DeviceType.META ? values.contiguous().clone()
        : empty(values.shape, values.dtype, Place);

    private static void Set(Tensor own, Tensor values)
    {
        if (values.device_type != DeviceType.META)
            own.copy_(values);
    }

    /// <summary>Whether nothing but the node reads its first input.</summary>
    private bool IsSoleReader(GraphNode node, int index = 0) => _uses[node.Inputs[index]] == 1;
}
