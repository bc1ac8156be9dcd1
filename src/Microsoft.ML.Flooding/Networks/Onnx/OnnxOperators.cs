using System.Globalization;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Microsoft.ML.Flooding.Images;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks.Onnx;

/// <summary>Writes the inference of a network as nodes of an ONNX graph: an interpreter whose values are names.</summary>
/// <param name="graph">The graph to which nodes and weights are added.</param>
/// <param name="opset">The version of the operators, at least 11.</param>
/// <param name="names">
/// The names of weights by their handle. The graph refers to these weights by name, as values of an external file, so it keeps them as they
/// are: it does not fold batch norm. Without names, the graph contains its weights.
/// </param>
internal sealed class OnnxOperators(GraphProto graph, long opset, IReadOnlyDictionary<nint, string>? names = null) : IOperators<string>
{
    private const long FirstWithLayerNormalization = 17;
    private const long FirstWithSoftmaxOfOneAxis = 13;

    private readonly Dictionary<string, string> _constants = [];
    private readonly Dictionary<string, int> _ranks = [];
    private int _values;

    public string Conv2d(Conv2d conv, string x) => Conv2d(conv, conv.weight, conv.bias, x);

    public string ConvBatchNorm(Conv2d conv, BatchNorm2d norm, string x)
    {
        if (names is not null)
            return BatchNorm(norm, Conv2d(conv, x));
        var (weight, bias) = BatchNormFolding.Fold(conv.weight, conv.bias, norm);
        return Conv2d(conv, weight, bias, x);
    }

    public string BatchNorm(BatchNorm norm, string x) => Node("BatchNormalization",
        [x, Weight(norm.weight), Weight(norm.bias!), Weight(norm.running_mean!), Weight(norm.running_var!)],
        Attribute("epsilon", (float)norm.eps));

    public string Linear(Linear linear, string x) => Linear(linear.weight!, linear.bias, x);

    public string LinearBatchNorm(Linear linear, BatchNorm1d norm, string x)
    {
        if (names is not null)
            return BatchNorm(norm, Linear(linear, x));
        var (weight, bias) = BatchNormFolding.Fold(linear.weight!, linear.bias, norm);
        return Linear(weight, bias, x);
    }

    public string LayerNorm(LayerNorm norm, string x)
    {
        if (opset >= FirstWithLayerNormalization)
            return Node("LayerNormalization",
                [x, Weight(norm.weight), Weight(norm.bias!)], Attribute("axis", -1L), Attribute("epsilon", (float)norm.eps));
        var centered = Node("Sub", [x, LastMean(x)]);
        var variance = LastMean(Node("Mul", [centered, centered]));
        var scaled = Node("Div", [centered, Node("Sqrt", [Node("Add", [variance, Number((float)norm.eps)])])]);
        return Node("Add", [Node("Mul", [scaled, Weight(norm.weight)]), Weight(norm.bias!)]);
    }

    public string Attention(Linear projection, Linear output, int heads, string x)
    {
        // A size of 0 keeps the size of the axis.
        var width = output.in_features;
        var split = Node("Reshape", [Linear(projection, x), Integers([0, 0, 3, heads, width / heads])]);
        var query = Node("Gather", [split, Integer(0)], Attribute("axis", 2L));
        var key = Node("Gather", [split, Integer(1)], Attribute("axis", 2L));
        var value = Node("Gather", [split, Integer(2)], Attribute("axis", 2L));
        var scaled = Node("Mul", [Permute([0, 2, 1, 3], query), Number((float)(1 / Math.Sqrt((double)width / heads)))]);
        var weights = Node("Softmax", [Node("MatMul", [scaled, Permute([0, 2, 3, 1], key)])], Attribute("axis", -1L));
        var attended = Node("MatMul", [weights, Permute([0, 2, 1, 3], value)]);
        return Linear(output, Node("Reshape", [Permute([0, 2, 1, 3], attended), Integers([0, 0, width])]));
    }

    public string Activate(Activation activation, string x) => activation.Function switch
    {
        Function.Relu => Node("Relu", [x]),
        Function.LeakyRelu => Node("LeakyRelu", [x], Attribute("alpha", (float)activation.First)),
        Function.Clip => Node("Clip", [x, Number((float)activation.First), Number((float)activation.Second)]),
        Function.Sigmoid => Node("Sigmoid", [x]),
        Function.HardSigmoid => Node(
            "HardSigmoid", [x], Attribute("alpha", (float)activation.First), Attribute("beta", (float)activation.Second)),
        Function.HardSwish => Node("Mul", [x, Activate(Activation.HardSigmoid, x)]),
        Function.Silu => Node("Mul", [x, Node("Sigmoid", [x])]),
        Function.Gelu => Gelu(x, Node("Erf", [Node("Mul", [x, Number((float)Math.Sqrt(0.5))])])),
        Function.GeluTanh => Gelu(x, Node("Tanh", [Node("Mul", [
            Node("Add", [x, Node("Mul", [Node("Pow", [x, Number(3)]), Number(0.044715f)])]), Number((float)Math.Sqrt(2 / Math.PI))])])),
        Function.Tanh => Node("Tanh", [x]),
        Function.Erf => Node("Erf", [x]),
        Function.Exp => Node("Exp", [x]),
        Function.Log => Node("Log", [x]),
        Function.Sqrt => Node("Sqrt", [x]),
        Function.Negate => Node("Neg", [x]),
        Function.Abs => Node("Abs", [x]),
        Function.Reciprocal => Node("Reciprocal", [x]),
        _ => throw new ArgumentOutOfRangeException(nameof(activation)),
    };

    public string Add(string x, string y) => Node("Add", [x, y]);

    public string Combine(BinaryOperator combination, string x, string y) => Node(combination switch
    {
        BinaryOperator.Add => "Add",
        BinaryOperator.Subtract => "Sub",
        BinaryOperator.Multiply => "Mul",
        BinaryOperator.Divide => "Div",
        BinaryOperator.Power => "Pow",
        BinaryOperator.Minimum => "Min",
        BinaryOperator.Maximum => "Max",
        _ => throw new ArgumentOutOfRangeException(nameof(combination)),
    }, [x, y]);

    public string Constant(Tensor values) => Weight(values);

    public string Copy(string x) => x;

    public string Pool(Pooling pooling, string x)
    {
        var window = new[]
        {
            Attribute("kernel_shape", pooling.Kernel), Attribute("strides", pooling.Stride),
            Attribute("pads", [.. pooling.Padding, .. pooling.Padding]),
        };
        return pooling.Aggregation == Aggregation.Maximum
            ? Node("MaxPool", [x], [.. window, Attribute("dilations", pooling.Dilation)])
            : Node("AveragePool", [x], [.. window, Attribute("count_include_pad", 1L)]);
    }

    public string GlobalAveragePool(string x) => Node("GlobalAveragePool", [x]);

    public string Reduce(Aggregation aggregation, long[] axes, bool keeps, string x)
    {
        var keepsAxes = Attribute("keepdims", keeps ? 1L : 0L);
        return aggregation switch
        {
            Aggregation.Mean => Node("ReduceMean", [x], Attribute("axes", axes), keepsAxes),
            Aggregation.Maximum => Node("ReduceMax", [x], Attribute("axes", axes), keepsAxes),
            Aggregation.Sum when opset < FirstWithSoftmaxOfOneAxis => Node("ReduceSum", [x], Attribute("axes", axes), keepsAxes),
            Aggregation.Sum => Node("ReduceSum", [x, Integers(axes)], keepsAxes),
            _ => throw new ArgumentOutOfRangeException(nameof(aggregation)),
        };
    }

    public string MatMul(string x, string y) => Node("MatMul", [x, y]);

    public string Softmax(long axis, string x)
    {
        if (opset >= FirstWithSoftmaxOfOneAxis)
            return Node("Softmax", [x], Attribute("axis", axis));
        // The older operator normalizes over all axes from the given one on together.
        var powers = Node("Exp", [Node("Sub", [x, Reduce(Aggregation.Maximum, [axis], keeps: true, x)])]);
        return Node("Div", [powers, Reduce(Aggregation.Sum, [axis], keeps: true, powers)]);
    }

    public string Pad(long[] before, long[] after, double value, string x) =>
        Node("Pad", [x, Integers([.. before, .. after]), Number((float)value)]);

    public string Reshape(long[] sizes, string x) => Node("Reshape", [x, Integers(sizes)]);

    public string Flatten(int axis, string x) => Node("Reshape", [x, Integers([.. Enumerable.Repeat(0L, axis), -1])]);

    public string Permute(long[] axes, string x) => Node("Transpose", [x], Attribute("perm", axes));

    public string Slice(long axis, long start, long end, long step, string x) =>
        Node("Slice", [x, Integers([start]), Integers([end]), Integers([axis]), Integers([step])]);

    public string Gather(long axis, long[] indices, string x) => Node("Gather", [x, Integers(indices)], Attribute("axis", axis));

    public string Concat(long axis, string[] values) => Node("Concat", values, Attribute("axis", axis));

    // A size of 1 broadcasts to the size of the value.
    public string Repeat(string x, string like)
    {
        var images = Node("Gather", [Node("Shape", [like]), Integers([0])], Attribute("axis", 0L));
        var rank = _ranks[x];
        var shape = rank == 1 ? images : Node("Concat", [images, Integers([.. Enumerable.Repeat(1L, rank - 1)])], Attribute("axis", 0L));
        return Node("Expand", [x, shape]);
    }

    public string Dropout(double probability, string x) => x;

    public string StochasticDepth(double probability, string x) => x;

    /// <summary>
    /// Converts values in the order height x width x channels, with one axis or three after the first, to float32 images [N, C, H, W].
    /// </summary>
    public string Images(ImageShape shape, string x)
    {
        var sizes = Integers([-1, shape.Height, shape.Width, shape.Channels]);
        var images = Node("Reshape", [Cast(x, TensorProto.Types.DataType.Float), sizes]);
        return Permute([0, 3, 1, 2], images);
    }

    /// <summary>The key of the most probable class of each sample, counted from 1 as in ML.NET: [N, classes] to [N, 1].</summary>
    public string Key(string probabilities, TensorProto.Types.DataType type, string name)
    {
        var index = Node("ArgMax", [probabilities], Attribute("axis", 1L), Attribute("keepdims", 1L));
        return Node("Cast", [Node("Add", [index, Integer(1)])], name, Attribute("to", (long)type));
    }

    /// <summary>Subtracts a mean for each channel from the images, and multiplies by a scale for each channel.</summary>
    public string Normalize(float[] mean, float[] scale, string x)
    {
        long[] shape = [1, mean.Length, 1, 1];
        var centered = Node("Sub", [x, Weight(tensor(mean, device: CPU).reshape(shape))]);
        return Node("Mul", [centered, Weight(tensor(scale, device: CPU).reshape(shape))]);
    }

    /// <summary>The softmax over the last axis, of the values divided by a temperature.</summary>
    public string Probabilities(string x, float temperature, string name) =>
        Node("Softmax", [temperature == 1 ? x : Node("Div", [x, Number(temperature)])], name, Attribute("axis", -1L));

    private static AttributeProto Attribute(string name, long value) =>
        new() { Name = name, Type = AttributeProto.Types.AttributeType.Int, I = value };

    private static AttributeProto Attribute(string name, float value) =>
        new() { Name = name, Type = AttributeProto.Types.AttributeType.Float, F = value };

    private static AttributeProto Attribute(string name, long[] values) =>
        new() { Name = name, Type = AttributeProto.Types.AttributeType.Ints, Ints = { values } };

    private string Gelu(string x, string shape) => Node("Mul", [Node("Mul", [x, Number(0.5f)]), Node("Add", [shape, Number(1)])]);

    private string Conv2d(Conv2d conv, Tensor weight, Tensor? bias, string x)
    {
        var padding = conv.padding!;
        return Node("Conv", bias is null ? [x, Weight(weight)] : [x, Weight(weight), Weight(bias)],
            Attribute("kernel_shape", conv.kernel_size), Attribute("strides", conv.stride), Attribute("dilations", conv.dilation),
            Attribute("pads", [.. padding, .. padding]), Attribute("group", conv.groups));
    }

    private string Linear(Tensor weight, Tensor? bias, string x)
    {
        var transposed = names is null ? Weight(weight.t()) : Node("Transpose", [Weight(weight)], Attribute("perm", [1L, 0L]));
        var product = Node("MatMul", [x, transposed]);
        return bias is null ? product : Node("Add", [product, Weight(bias)]);
    }

    private string Cast(string x, TensorProto.Types.DataType type) => Node("Cast", [x], Attribute("to", (long)type));

    private string LastMean(string x) => Node("ReduceMean", [x], Attribute("axes", [-1]), Attribute("keepdims", 1L));

    private string Node(string type, string[] inputs, params AttributeProto[] attributes) => Node(type, inputs, NewName(type), attributes);

    private string Node(string type, string[] inputs, string output, params AttributeProto[] attributes)
    {
        graph.Node.Add(new NodeProto { OpType = type, Name = output, Input = { inputs }, Output = { output }, Attribute = { attributes } });
        return output;
    }

    private string Weight(Tensor values)
    {
        if (names?.GetValueOrDefault(values.Handle) is { } external)
            return ExternalWeight(external, values);
        var name = NewName("weight");
        _ranks[name] = (int)values.ndim;
        var contiguous = values.detach().to(ScalarType.Float32).cpu().contiguous();
        graph.Initializer.Add(new TensorProto
        {
            Name = name,
            DataType = TensorProto.Types.DataType.Float,
            Dims = { contiguous.shape },
            RawData = ByteString.CopyFrom(contiguous.bytes),
        });
        return name;
    }

    private string ExternalWeight(string name, Tensor values)
    {
        if (_ranks.TryAdd(name, (int)values.ndim))
        {
            graph.Initializer.Add(new TensorProto
            {
                Name = name,
                DataType = TensorProto.Types.DataType.Float,
                Dims = { values.shape },
                DataLocation = TensorProto.Types.DataLocation.External,
            });
        }
        return name;
    }

    private string Number(float value) =>
        Constant($"number {value:R}", TensorProto.Types.DataType.Float, [], MemoryMarshal.AsBytes<float>([value]));

    private string Integer(long value) =>
        Constant($"integer {value}", TensorProto.Types.DataType.Int64, [], MemoryMarshal.AsBytes<long>([value]));

    private string Integers(long[] values) => Constant(
        $"integers {string.Join(' ', values)}", TensorProto.Types.DataType.Int64, [values.Length], MemoryMarshal.AsBytes<long>(values));

    private string Constant(string key, TensorProto.Types.DataType type, long[] shape, ReadOnlySpan<byte> bytes)
    {
        if (_constants.TryGetValue(key, out var name))
            return name;
        name = _constants[key] = NewName("constant");
        graph.Initializer.Add(new TensorProto { Name = name, DataType = type, Dims = { shape }, RawData = ByteString.CopyFrom(bytes) });
        return name;
    }

    private string NewName(string kind) => string.Create(CultureInfo.InvariantCulture, $"{kind}_{_values++}");
}
