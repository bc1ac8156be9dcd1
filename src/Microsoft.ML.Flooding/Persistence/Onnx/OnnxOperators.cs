using System.Globalization;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Persistence.Onnx;

/// <summary>Writes down what a network does at inference, as nodes of an ONNX graph: an interpreter whose values are names.</summary>
/// <param name="graph">What the nodes and weights are added to.</param>
/// <param name="opset">The version of the operators, at least 11.</param>
internal sealed class OnnxOperators(GraphProto graph, long opset) : IOperators<string>
{
    private const long FirstWithLayerNormalization = 17;

    private readonly Dictionary<string, string> _constants = [];
    private int _values;

    public string Conv2d(Conv2d conv, string x) => Conv2d(conv, conv.weight, conv.bias, x);

    public string ConvBatchNorm(Conv2d conv, BatchNorm2d norm, string x)
    {
        var (weight, bias) = BatchNormFolding.Fold(conv.weight, conv.bias, norm);
        return Conv2d(conv, weight, bias, x);
    }

    public string BatchNorm(BatchNorm norm, string x) => Node("BatchNormalization",
        [x, Weight(norm.weight), Weight(norm.bias!), Weight(norm.running_mean!), Weight(norm.running_var!)],
        Attribute("epsilon", (float)norm.eps));

    public string Linear(Linear linear, string x) => Linear(linear.weight!, linear.bias, x);

    public string LinearBatchNorm(Linear linear, BatchNorm1d norm, string x)
    {
        var (weight, bias) = BatchNormFolding.Fold(linear.weight!, linear.bias, norm);
        return Linear(weight, bias, x);
    }

    public string LayerNorm(LayerNorm norm, string x)
    {
        if (opset >= FirstWithLayerNormalization)
            return Node("LayerNormalization",
                [x, Weight(norm.weight), Weight(norm.bias!)], Attribute("axis", -1L), Attribute("epsilon", (float)norm.eps));
        var centred = Node("Sub", [x, LastMean(x)]);
        var variance = LastMean(Node("Mul", [centred, centred]));
        var scaled = Node("Div", [centred, Node("Sqrt", [Node("Add", [variance, Number((float)norm.eps)])])]);
        return Node("Add", [Node("Mul", [scaled, Weight(norm.weight)]), Weight(norm.bias!)]);
    }

    public string Attention(Linear projection, Linear output, int heads, string x)
    {
        // A size of 0 keeps the axis as it is.
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

    public string Activate(Activation activation, string x) => activation switch
    {
        Activation.Relu => Node("Relu", [x]),
        Activation.Relu6 => Node("Clip", [x, Number(0), Number(6)]),
        Activation.Sigmoid => Node("Sigmoid", [x]),
        Activation.Hardsigmoid => Node("HardSigmoid", [x], Attribute("alpha", 1 / 6f), Attribute("beta", 0.5f)),
        Activation.Hardswish => Node("Mul", [x, Activate(Activation.Hardsigmoid, x)]),
        Activation.Silu => Node("Mul", [x, Node("Sigmoid", [x])]),
        Activation.Gelu => Node("Mul", [
            Node("Mul", [x, Number(0.5f)]),
            Node("Add", [Node("Erf", [Node("Mul", [x, Number((float)Math.Sqrt(0.5))])]), Number(1)])]),
        _ => throw new ArgumentOutOfRangeException(nameof(activation)),
    };

    public string Add(string x, string y) => Node("Add", [x, y]);

    public string Add(string x, Parameter y) => Node("Add", [x, Weight(y)]);

    public string Multiply(string x, string y) => Node("Mul", [x, y]);

    public string Multiply(string x, Parameter y) => Node("Mul", [x, Weight(y)]);

    public string MaxPool2d(int kernel, int stride, int padding, string x) => Node("MaxPool", [x],
        Attribute("kernel_shape", [kernel, kernel]), Attribute("strides", [stride, stride]), Attribute("pads", [padding, padding, padding, padding]));

    public string GlobalAveragePool(string x) => Node("GlobalAveragePool", [x]);

    public string Flatten(int axis, string x) => Node("Reshape", [x, Integers([.. Enumerable.Repeat(0L, axis), -1])]);

    public string Permute(long[] axes, string x) => Node("Transpose", [x], Attribute("perm", axes));

    public string Prepend(Parameter token, string x)
    {
        var samples = Node("Gather", [Node("Shape", [x]), Integers([0])], Attribute("axis", 0L));
        var shape = Node("Concat", [samples, Integers(token.shape.AsSpan(1).ToArray())], Attribute("axis", 0L));
        return Node("Concat", [Node("Expand", [Weight(token), shape]), x], Attribute("axis", 1L));
    }

    public string First(string x) => Node("Gather", [x, Integer(0)], Attribute("axis", 1L));

    public string Dropout(double probability, string x) => x;

    public string StochasticDepth(double probability, string x) => x;

    /// <summary>Float32 images [N, C, H, W] of values in height x width x channels order, with one axis or three after the first.</summary>
    public string Images(ImageShape shape, string x)
    {
        var images = Node("Reshape", [Cast(x, TensorProto.Types.DataType.Float), Integers([-1, shape.Height, shape.Width, shape.Channels])]);
        return Permute([0, 3, 1, 2], images);
    }

    /// <summary>The most probable class of each sample, counted from 1 as ML.NET's keys are: [N, classes] to [N, 1].</summary>
    public string Key(string probabilities, TensorProto.Types.DataType type, string name)
    {
        var index = Node("ArgMax", [probabilities], Attribute("axis", 1L), Attribute("keepdims", 1L));
        return Node("Cast", [Node("Add", [index, Integer(1)])], name, Attribute("to", (long)type));
    }

    /// <summary>Images less a mean for each channel, times a scale for each channel.</summary>
    public string Normalize(float[] mean, float[] scale, string x)
    {
        long[] shape = [1, mean.Length, 1, 1];
        return Node("Mul", [Node("Sub", [x, Weight(tensor(mean, device: CPU).reshape(shape))]), Weight(tensor(scale, device: CPU).reshape(shape))]);
    }

    /// <summary>Over the last axis, of the values divided by a temperature.</summary>
    public string Softmax(string x, float temperature, string name) =>
        Node("Softmax", [temperature == 1 ? x : Node("Div", [x, Number(temperature)])], name, Attribute("axis", -1L));

    private static AttributeProto Attribute(string name, long value) => new() { Name = name, Type = AttributeProto.Types.AttributeType.Int, I = value };

    private static AttributeProto Attribute(string name, float value) => new() { Name = name, Type = AttributeProto.Types.AttributeType.Float, F = value };

    private static AttributeProto Attribute(string name, long[] values) => new() { Name = name, Type = AttributeProto.Types.AttributeType.Ints, Ints = { values } };

    private string Conv2d(Conv2d conv, Tensor weight, Tensor? bias, string x)
    {
        var padding = conv.padding!;
        return Node("Conv", bias is null ? [x, Weight(weight)] : [x, Weight(weight), Weight(bias)],
            Attribute("kernel_shape", conv.kernel_size), Attribute("strides", conv.stride), Attribute("dilations", conv.dilation),
            Attribute("pads", [.. padding, .. padding]), Attribute("group", conv.groups));
    }

    private string Linear(Tensor weight, Tensor? bias, string x)
    {
        var product = Node("MatMul", [x, Weight(weight.t())]);
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
        var name = NewName("weight");
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

    private string Number(float value) => Constant($"number {value:R}", TensorProto.Types.DataType.Float, [], MemoryMarshal.AsBytes<float>([value]));

    private string Integer(long value) => Constant($"integer {value}", TensorProto.Types.DataType.Int64, [], MemoryMarshal.AsBytes<long>([value]));

    private string Integers(long[] values) =>
        Constant($"integers {string.Join(' ', values)}", TensorProto.Types.DataType.Int64, [values.Length], MemoryMarshal.AsBytes<long>(values));

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
