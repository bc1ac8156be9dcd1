using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks.Onnx;

namespace Microsoft.ML.Flooding.Tests.Onnx;

/// <summary>Each operator that is read, in the forms that its versions have, against ONNX Runtime.</summary>
[TestClass]
public sealed class OnnxOperatorTests
{
    private static readonly ImageShape Shape = new(9, 11, 4);

    private static readonly Dictionary<string, (long Opset, Func<TestGraph, string, string> Build)> Cases = new()
    {
        ["conv"] = (13, (g, x) => Conv(g, x, 5)),
        ["conv groups"] = (13, (g, x) =>
            g.Node("Conv", [x, g.Weights(6, 2, 3, 3), g.Weights(6)], ("group", 2), ("pads", new long[] { 1, 1, 1, 1 }))),
        ["conv depthwise"] = (13, (g, x) => g.Node("Conv", [x, g.Weights(4, 1, 3, 3)], ("group", 4), ("strides", new long[] { 2, 2 }))),
        ["conv dilations"] = (13, (g, x) =>
            g.Node("Conv", [x, g.Weights(5, 4, 3, 3)], ("dilations", new long[] { 2, 3 }), ("pads", new long[] { 2, 2, 2, 2 }))),
        ["conv asymmetric"] = (8, (g, x) => g.Node("Conv", [x, g.Weights(5, 4, 3, 3)], ("strides", new long[] { 2, 2 }),
            ("pads", new long[] { 1, 1, 0, 0 }), ("auto_pad", "NOTSET"))),
        ["conv oblong"] = (13, (g, x) =>
            g.Node("Conv", [x, g.Weights(5, 4, 1, 7)], ("strides", new long[] { 1, 2 }), ("pads", new long[] { 0, 3, 0, 3 }))),
        ["conv oblong pads"] = (13, (g, x) =>
            g.Node("Conv", [x, g.Weights(5, 4, 3, 3)], ("strides", new long[] { 2, 1 }), ("pads", new long[] { 1, 0, 1, 0 }))),
        ["conv 1x1 padded"] = (13, (g, x) =>
            g.Node("Conv", [x, g.Weights(5, 4, 1, 1)], ("pads", new long[] { 1, 1, 1, 1 }), ("strides", new long[] { 2, 1 }))),
        ["conv same upper"] =
            (13, (g, x) => g.Node("Conv", [x, g.Weights(5, 4, 4, 3)], ("auto_pad", "SAME_UPPER"), ("strides", new long[] { 2, 2 }))),
        ["conv same lower"] = (13, (g, x) => g.Node("Conv", [x, g.Weights(5, 4, 4, 4)], ("auto_pad", "SAME_LOWER"))),
        ["conv valid"] = (13, (g, x) =>
            g.Node("Conv", [x, g.Weights(5, 4, 3, 3)], ("auto_pad", "VALID"), ("kernel_shape", new long[] { 3, 3 }))),
        ["batch norm"] = (15, (g, x) => Norm(g, x, 4)),
        ["conv batch norm relu"] = (7, (g, x) => g.Node("Relu", [Norm(g, Conv(g, x, 5), 5)])),
        ["batch norm of a linear layer"] = (13, (g, x) => Norm(g, g.Node("Gemm", [g.Node("Flatten", [x]), g.Weights(396, 6)]), 6)),
        ["norm of a conv that is read twice"] = (13, (g, x) =>
        {
            var y = Conv(g, x, 5);
            return g.Node("Add", [y, Norm(g, y, 5)]);
        }
        ),
        ["relu of what is read again"] = (13, (g, x) =>
        {
            var y = Conv(g, x, 5);
            return g.Node("Mul", [g.Node("Relu", [y]), y]);
        }
        ),
        ["residual"] = (13, (g, x) =>
        {
            var y = g.Node("Relu", [Conv(g, x, 4)]);
            return g.Node("Relu", [g.Node("Add", [g.Node("Add", [Conv(g, y, 4), y]), x])]);
        }
        ),
        ["leaky relu"] = (13, (g, x) => g.Node("LeakyRelu", [Conv(g, x, 5)], ("alpha", 0.2))),
        ["prelu"] = (13, (g, x) => g.Node("PRelu", [Conv(g, x, 5), g.Weights(5, 1, 1)])),
        ["clip 6"] = (6 + 1, (g, x) => g.Node("Clip", [Conv(g, x, 5)], ("min", 0.0), ("max", 6.0))),
        ["clip 11"] = (11, (g, x) => g.Node("Clip", [Conv(g, x, 5), g.Floats([], -0.5f), g.Floats([], 0.7f)])),
        ["clip without a lower bound"] = (13, (g, x) => g.Node("Clip", [Conv(g, x, 5), "", g.Floats([], 0.3f)])),
        ["sigmoid"] = (13, (g, x) => g.Node("Sigmoid", [Conv(g, x, 5)])),
        ["sigmoid of relu"] = (13, (g, x) =>
        {
            var y = g.Node("Sigmoid", [g.Node("Relu", [Conv(g, x, 5)])]);
            return g.Node("Relu", [g.Node("Sub", [y, g.Floats([], 0.5f)])]);
        }
        ),
        ["silu"] = (13, (g, x) =>
        {
            var y = Conv(g, x, 5);
            return g.Node("Mul", [y, g.Node("Sigmoid", [y])]);
        }
        ),
        ["hard sigmoid"] = (13, (g, x) => g.Node("HardSigmoid", [Conv(g, x, 5)], ("alpha", 0.25), ("beta", 0.4))),
        ["hard swish"] = (14, (g, x) => g.Node("HardSwish", [Conv(g, x, 5)])),
        ["erf gelu"] = (13, (g, x) =>
        {
            var y = Conv(g, x, 5);
            var erf = g.Node("Erf", [g.Node("Div", [y, g.Floats([], 1.41421356f)])]);
            return g.Node("Mul", [g.Node("Mul", [y, g.Node("Add", [erf, g.Floats([], 1)])]), g.Floats([], 0.5f)]);
        }
        ),
        ["gelu"] = (20, (g, x) => g.Node("Gelu", [Conv(g, x, 5)])),
        ["gelu tanh"] = (20, (g, x) => g.Node("Gelu", [Conv(g, x, 5)], ("approximate", "tanh"))),
        ["tanh"] = (13, (g, x) => g.Node("Tanh", [Conv(g, x, 5)])),
        ["functions"] = (13, (g, x) => g.Node("Log", [g.Node("Exp", [g.Node("Neg", [g.Node("Abs", [Conv(g, x, 5)])])])])),
        ["square root and reciprocal"] =
            (13, (g, x) => g.Node("Reciprocal", [g.Node("Sqrt", [g.Node("Add", [g.Node("Exp", [Conv(g, x, 3)]), g.Floats([], 1)])])])),
        ["softmax within"] = (13, (g, x) => g.Node("Mul", [g.Node("Softmax", [Conv(g, x, 5)], ("axis", 1)), g.Floats([], 3)])),
        ["softmax 7"] = (7, (g, x) => g.Node("Mul", [g.Node("Softmax", [Conv(g, x, 5)]), g.Floats([1], 30)])),
        ["log softmax within"] = (13, (g, x) => g.Node("Mul", [g.Node("LogSoftmax", [Conv(g, x, 5)], ("axis", -1)), g.Floats([], 0.1f)])),
        ["max pool"] = (13, (g, x) => g.Node("MaxPool", [Conv(g, x, 3)], ("kernel_shape", new long[] { 3, 2 }),
            ("strides", new long[] { 2, 2 }), ("pads", new long[] { 1, 1, 1, 1 }))),
        ["max pool asymmetric"] = (8, (g, x) => g.Node("MaxPool", [Conv(g, x, 3)], ("kernel_shape", new long[] { 3, 3 }),
            ("strides", new long[] { 2, 2 }), ("pads", new long[] { 1, 1, 0, 0 }))),
        ["max pool ceil"] = (13, (g, x) =>
            g.Node("MaxPool", [Conv(g, x, 3)], ("kernel_shape", new long[] { 2, 2 }), ("strides", new long[] { 2, 2 }), ("ceil_mode", 1))),
        ["max pool ceil padded"] = (13, (g, x) => g.Node("MaxPool", [Conv(g, x, 3)], ("kernel_shape", new long[] { 2, 2 }),
            ("strides", new long[] { 3, 3 }), ("pads", new long[] { 1, 1, 1, 1 }), ("ceil_mode", 1))),
        ["max pool dilations"] =
            (13, (g, x) => g.Node("MaxPool", [Conv(g, x, 3)], ("kernel_shape", new long[] { 2, 3 }), ("dilations", new long[] { 2, 2 }))),
        ["max pool same"] = (13, (g, x) => g.Node("MaxPool", [Conv(g, x, 3)], ("kernel_shape", new long[] { 2, 3 }),
            ("strides", new long[] { 2, 2 }), ("auto_pad", "SAME_UPPER"))),
        ["average pool"] = (13, (g, x) =>
            g.Node("AveragePool", [Conv(g, x, 3)], ("kernel_shape", new long[] { 2, 2 }), ("strides", new long[] { 2, 2 }))),
        ["average pool padded"] = (13, (g, x) =>
            g.Node("AveragePool", [Conv(g, x, 3)], ("kernel_shape", new long[] { 3, 3 }), ("pads", new long[] { 1, 1, 1, 1 }))),
        ["average pool counts"] = (13, (g, x) => g.Node("AveragePool", [Conv(g, x, 3)], ("kernel_shape", new long[] { 3, 3 }),
            ("pads", new long[] { 1, 1, 1, 1 }), ("count_include_pad", 1))),
        ["average pool asymmetric"] = (13, (g, x) =>
            g.Node("AveragePool", [Conv(g, x, 3)], ("kernel_shape", new long[] { 3, 3 }), ("pads", new long[] { 1, 0, 0, 1 }))),
        ["average pool ceil"] = (13, (g, x) => g.Node(
            "AveragePool", [Conv(g, x, 3)], ("kernel_shape", new long[] { 2, 2 }), ("strides", new long[] { 2, 2 }), ("ceil_mode", 1))),
        ["average pool ceil padded"] = (13, (g, x) => g.Node("AveragePool", [Conv(g, x, 3)], ("kernel_shape", new long[] { 3, 3 }),
            ("strides", new long[] { 2, 2 }), ("pads", new long[] { 1, 1, 0, 0 }), ("ceil_mode", 1))),
        ["average pool ceil counts"] = (19, (g, x) => g.Node("AveragePool", [Conv(g, x, 3)], ("kernel_shape", new long[] { 3, 3 }),
            ("strides", new long[] { 2, 3 }), ("pads", new long[] { 1, 1, 1, 1 }), ("ceil_mode", 1), ("count_include_pad", 1))),
        ["average pool same"] = (13, (g, x) => g.Node("AveragePool", [Conv(g, x, 3)], ("kernel_shape", new long[] { 3, 2 }),
            ("strides", new long[] { 2, 2 }), ("auto_pad", "SAME_UPPER"))),
        ["global pools"] = (13, (g, x) =>
            g.Node("Concat", [g.Node("GlobalAveragePool", [Conv(g, x, 5)]), g.Node("GlobalMaxPool", [Conv(g, x, 5)])], ("axis", 1))),
        ["mean 13"] = (13, (g, x) => g.Node("ReduceMean", [Conv(g, x, 5)], ("axes", new long[] { 2, 3 }), ("keepdims", 0))),
        ["mean 18"] = (18, (g, x) => g.Node("ReduceMean", [Conv(g, x, 5), g.Integers(-1, -2)], ("keepdims", 1))),
        ["sum and maximum"] = (13, (g, x) => g.Node("Sub", [
            g.Node("ReduceMax", [Conv(g, x, 5)], ("axes", new long[] { 1 })),
                g.Node("Mul", [g.Node("ReduceSum", [x, g.Integers(1)]), g.Floats([], 0.1f)])])),
        ["lrn"] = (13, (g, x) => g.Node("LRN", [Conv(g, x, 7)], ("size", 5), ("alpha", 0.5), ("beta", 0.75), ("bias", 2.0))),
        ["arithmetic"] = (13, (g, x) => g.Node(
            "Div", [g.Node("Sub", [g.Weights(1, 4, 1, 1), Conv(g, x, 4)]), g.Node("Add", [g.Node("Mul", [x, x]), g.Positive(4, 1, 1)])])),
        ["power"] = (13, (g, x) => g.Node("Pow", [Conv(g, x, 4), g.Floats([], 2)])),
        ["sum of many"] = (13, (g, x) => g.Node("Sum", [Conv(g, x, 4), x, Conv(g, x, 4)])),
        ["minimum and maximum"] = (13, (g, x) => g.Node("Max", [g.Node("Min", [Conv(g, x, 4), x]), g.Floats([], -0.3f)])),
        ["layer norm by hand"] = (13, (g, x) =>
        {
            var y = g.Node("Flatten", [x]);
            var less = g.Node("Sub", [y, g.Node("ReduceMean", [y], ("axes", new long[] { -1 }))]);
            var variance = g.Node("ReduceMean", [g.Node("Pow", [less, g.Floats([], 2)])], ("axes", new long[] { -1 }));
            return g.Node("Mul", [g.Node("Div", [less, g.Node("Sqrt", [g.Node("Add", [variance, g.Floats([], 1e-5f)])])]), g.Weights(396)]);
        }
        ),
        ["layer norm"] = (17, (g, x) => g.Node("LayerNormalization", [g.Node("Transpose", [x], ("perm", new long[] { 0, 2, 3, 1 })),
            g.Positive(4), g.Weights(4)], ("axis", -1), ("epsilon", 1e-3))),
        ["layer norm without bias"] =
            (17, (g, x) => g.Node("LayerNormalization", [g.Node("Transpose", [x], ("perm", new long[] { 0, 2, 3, 1 })), g.Positive(4)])),
        ["concat and split 11"] = (11, (g, x) =>
        {
            var parts = g.Nodes("Split", [Conv(g, x, 6)], 3, ("axis", 1), ("split", new long[] { 1, 3, 2 }));
            return g.Node("Concat", [parts[2], x, parts[0]], ("axis", 1));
        }
        ),
        ["split 13"] = (13, (g, x) => g.Nodes("Split", [Conv(g, x, 6), g.Integers(2, 4)], 2, ("axis", 1))[1]),
        ["split 18"] = (18, (g, x) => g.Nodes("Split", [Conv(g, x, 7)], 3, ("axis", 1), ("num_outputs", 3))[2]),
        ["slice 9"] = (9, (g, x) => g.Node(
            "Slice", [Conv(g, x, 4)], ("starts", new long[] { 1, -5 }), ("ends", new long[] { 100, -1 }), ("axes", new long[] { 2, 3 }))),
        ["slice 13"] = (13, (g, x) =>
            g.Node("Slice", [Conv(g, x, 4), g.Integers(1, 8), g.Integers(4, 0), g.Integers(1, 3), g.Integers(2, -3)])),
        ["channels backwards"] =
            (13, (g, x) => g.Node("Slice", [x, g.Integers(-1), g.Integers(long.MinValue), g.Integers(1), g.Integers(-1)])),
        ["gather"] = (13, (g, x) => g.Node("Gather", [x, g.Integers(2, 0, -1)], ("axis", 1))),
        ["gather of one"] = (13, (g, x) => g.Node("Gather", [x, g.Integer(-2)], ("axis", 2))),
        ["pad 7"] = (7, (g, x) => g.Node("Pad", [x], ("pads", new long[] { 0, 0, 1, 2, 0, 0, 0, 1 }), ("value", 0.5))),
        ["pad 13"] = (13, (g, x) => g.Node("Pad", [x, g.Integers(0, 1, 1, 0, 0, 0, -2, 3), g.Floats([], -1)])),
        ["pad 18"] = (18, (g, x) => g.Node("Pad", [x, g.Integers(1, 2, 3, 0), "", g.Integers(2, -1)])),
        ["pad reflect"] = (13, (g, x) => g.Node("Pad", [x, g.Integers(0, 0, 3, 3, 0, 0, 2, 3)], ("mode", "reflect"))),
        ["pad edge"] = (13, (g, x) => g.Node("Pad", [x, g.Integers(0, 0, 3, 3, 0, 0, 2, 3)], ("mode", "edge"))),
        ["flatten"] = (13, (g, x) => g.Node("Tanh", [g.Node("Gemm", [g.Node("Flatten", [x], ("axis", -3)), g.Weights(7, 396), g.Weights(7)],
            ("transB", 1), ("alpha", 0.5), ("beta", 2.0))])),
        ["reshape"] = (13, (g, x) => g.Node("Reshape", [x, g.Integers(0, 2, -1, 11)])),
        ["reshape by shape"] = (13, (g, x) =>
        {
            var images = g.Node("Gather", [g.Node("Shape", [x]), g.Integer(0)]);
            var sizes = g.Node("Concat", [g.Node("Unsqueeze", [images, g.Integers(0)]), g.Integers(-1)], ("axis", 0));
            return g.Node("Reshape", [Conv(g, x, 5), sizes]);
        }
        ),
        ["reshape by computed sizes"] = (15, (g, x) =>
        {
            var shape = g.Node("Shape", [x], ("start", 2));
            var area = g.Node("ReduceProd", [shape], ("keepdims", 1));
            var half = g.Node("Div", [g.Node("Mul", [area, g.Integers(4)]), g.Integers(2)]);
            return g.Node("Reshape", [x, g.Node("Concat", [g.Integers(-1, 2), half], ("axis", 0))]);
        }
        ),
        ["squeeze and unsqueeze 11"] = (11, (g, x) => g.Node("Unsqueeze", [g.Node(
            "Squeeze", [g.Node("GlobalAveragePool", [Conv(g, x, 5)])], ("axes", new long[] { 2, 3 }))], ("axes", new long[] { 1, -1 }))),
        ["squeeze 13"] = (13, (g, x) => g.Node("Squeeze", [g.Node("GlobalAveragePool", [Conv(g, x, 5)]), g.Integers(-1, 2)])),
        ["transpose"] = (13, (g, x) => g.Node("Mul", [g.Node("Transpose", [x], ("perm", new long[] { 0, 3, 1, 2 })), g.Weights(4, 9)])),
        ["matmul with bias"] =
            (13, (g, x) => g.Node("Tanh", [g.Node("Add", [g.Weights(5), g.Node("MatMul", [g.Node("Flatten", [x]), g.Weights(396, 5)])])])),
        ["matmul of computed values"] = (13, (g, x) => g.Node(
            "Softmax", [g.Node("MatMul", [x, g.Node("Transpose", [Conv(g, x, 4)], ("perm", new long[] { 0, 1, 3, 2 }))])], ("axis", -1))),
        ["matmul of a constant in front"] = (13, (g, x) => g.Node("MatMul", [g.Weights(3, 9), x])),
        ["gemm of rearranged weights"] = (13, (g, x) => g.Node("Tanh", [g.Node("Gemm",
            [g.Node("Flatten", [x]), g.Node("Transpose", [g.Weights(7, 396)], ("perm", new long[] { 1, 0 })), g.Floats([1, 1], 0.3f)])])),
        ["dropout and identity"] = (12, (g, x) => g.Nodes("Dropout", [g.Node("Identity", [Conv(g, x, 5)]), g.Floats([], 0)], 2)[0]),
        ["cast and constants"] = (13, (g, x) =>
        {
            var two = g.Node("Cast", [g.Node(
                "Constant", [], ("value", new TensorProto { DataType = TensorProto.Types.DataType.Int64, Int64Data = { 2 } }))], ("to", 1));
            var ones = g.Node("ConstantOfShape", [g.Integers(4, 1, 1)],
                ("value", new TensorProto { DataType = TensorProto.Types.DataType.Float, Dims = { 1 }, FloatData = { 0.5f } }));
            return g.Node("Add", [g.Node("Mul", [Conv(g, x, 4), two]), ones]);
        }
        ),
        ["class token"] = (14, (g, x) =>
        {
            var tokens = g.Node("Transpose", [g.Node("Reshape", [Conv(g, x, 6), g.Integers(0, 6, -1)])], ("perm", new long[] { 0, 2, 1 }));
            var images = g.Node("Unsqueeze", [g.Node("Gather", [g.Node("Shape", [x]), g.Integer(0)]), g.Integers(0)]);
            var wanted = g.Node("Concat", [images, g.Integers(-1, -1)], ("axis", 0));
            // As PyTorch writes expand(N, -1, -1).
            var ones = g.Node("ConstantOfShape", [g.Node("Shape", [wanted])],
                ("value", new TensorProto { DataType = TensorProto.Types.DataType.Int64, Dims = { 1 }, Int64Data = { 1 } }));
            var open = g.Node("Equal", [wanted, g.Node("Mul", [ones, g.Integer(-1)])]);
            var all = g.Node("Concat", [g.Node("Expand", [g.Weights(1, 1, 6), g.Node("Where", [open, ones, wanted])]), tokens],
                ("axis", 1));
            return g.Node("Gather", [g.Node("Add", [all, g.Weights(1, 100, 6)]), g.Integer(0)], ("axis", 1));
        }
        ),
        ["attention with the images on the second axis"] = (14, (g, x) =>
        {
            // [N, 4, 9 * 11] to [99, N, 4], two heads of two: [99, 2 N, 2], as PyTorch's MultiheadAttention has them.
            var tokens = g.Node("Transpose", [g.Node("Reshape", [x, g.Integers(0, 4, -1)])], ("perm", new long[] { 2, 0, 1 }));
            var images = g.Node("Gather", [g.Node("Shape", [tokens]), g.Integers(1)]);
            var sizes = g.Node("Concat", [g.Integers(99), g.Node("Mul", [images, g.Integers(2)]), g.Integers(2)], ("axis", 0));
            string Heads() => g.Node(
                "Transpose", [g.Node("Reshape", [g.Node("MatMul", [tokens, g.Weights(4, 4)]), sizes])], ("perm", new long[] { 1, 0, 2 }));
            var weights = g.Node(
                "Softmax", [g.Node("MatMul", [Heads(), g.Node("Transpose", [Heads()], ("perm", new long[] { 0, 2, 1 }))])], ("axis", -1));
            var attended = g.Node("Transpose", [g.Node("MatMul", [weights, Heads()])], ("perm", new long[] { 1, 0, 2 }));
            var joined = g.Node("Reshape", [attended, g.Node("Concat", [g.Integers(99), images, g.Integers(4)], ("axis", 0))]);
            return g.Node("Transpose", [joined], ("perm", new long[] { 1, 0, 2 }));
        }
        ),
    };

    public static IEnumerable<string> Names => Cases.Keys;

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void Results_are_those_of_ONNX_Runtime(string name)
    {
        var (opset, build) = Cases[name];
        var graph = new TestGraph(opset, null, Shape.Channels, Shape.Height, Shape.Width);
        OnnxCheck.Features(graph.File(build(graph, graph.Input)), Shape);
    }

    [TestMethod]
    [DataRow("literal")]
    [DataRow("open")]
    [DataRow("class token")]
    public void A_number_of_images_that_the_file_fixes_is_made_free(string name)
    {
        var graph = new TestGraph(13, 1, Shape.Channels, Shape.Height, Shape.Width);
        var y = Conv(graph, graph.Input, 6);
        y = name switch
        {
            "literal" => graph.Node("Reshape", [y, graph.Integers(1, 594)]),
            "open" => graph.Node("Reshape", [y, graph.Integers(1, -1)]),
            _ => graph.Node("Concat", [graph.Weights(1, 2, 99), graph.Node("Reshape", [y, graph.Integers(1, 6, 99)])], ("axis", 1)),
        };
        OnnxCheck.Features(graph.File(y), Shape, isForOneImage: true);
    }

    private static string Conv(TestGraph g, string x, long channels) =>
        g.Node("Conv", [x, g.Weights(channels, 4, 3, 3), g.Weights(channels)], ("pads", new long[] { 1, 1, 1, 1 }));

    private static string Norm(TestGraph g, string x, long channels) =>
        g.Node("BatchNormalization", [x, g.Positive(channels), g.Weights(channels), g.Weights(channels), g.Positive(channels)],
            ("epsilon", 1e-3));
}
