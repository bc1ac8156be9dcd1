using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks.Onnx;

/// <content>Which operators are read: those that image classifiers are made of.</content>
internal sealed partial class OnnxImport
{
    private delegate OnnxValue[] Reader(OnnxImport import, GraphNode node);

    private static readonly Dictionary<string, Reader> Operators = new()
    {
        ["Abs"] = Single((import, node) => import.Activate(node, new Activation(Function.Abs))),
        ["Add"] = Single((import, node) => import.Combine(node, BinaryOperator.Add)),
        ["AveragePool"] = Single((import, node) => import.AveragePool(node)),
        ["BatchNormalization"] = Single((import, node) => import.BatchNormalization(node)),
        ["Cast"] = Single((import, node) => import.Cast(node)),
        ["Ceil"] = Single((import, node) => import.Known(node, x => x[0].ceil())),
        ["Clip"] = Single((import, node) => import.Clip(node)),
        ["Concat"] = Single((import, node) => import.Concat(node)),
        ["Constant"] = Single((import, node) => Constant(node)),
        ["ConstantOfShape"] = Single((import, node) => import.ConstantOfShape(node)),
        ["Conv"] = Single((import, node) => import.Conv(node)),
        ["Div"] = Single((import, node) => import.Combine(node, BinaryOperator.Divide)),
        ["Dropout"] = Single((import, node) => import.Dropout(node)),
        ["Equal"] = Single((import, node) => import.Known(node, x => x[0].eq(x[1]))),
        ["Erf"] = Single((import, node) => import.Activate(node, new Activation(Function.Erf))),
        ["Exp"] = Single((import, node) => import.Activate(node, new Activation(Function.Exp))),
        ["Expand"] = Single((import, node) => import.Expand(node)),
        ["Flatten"] = Single((import, node) => import.Flatten(node)),
        ["Floor"] = Single((import, node) => import.Known(node, x => x[0].floor())),
        ["Gather"] = Single((import, node) => import.Gather(node)),
        ["Gelu"] = Single((import, node) =>
            import.Activate(node, node.Text("approximate", "none") == "tanh" ? new Activation(Function.GeluTanh) : Activation.Gelu)),
        ["Gemm"] = Single((import, node) => import.Gemm(node)),
        ["GlobalAveragePool"] = Single((import, node) => import.GlobalAveragePool(node)),
        ["GlobalMaxPool"] = Single((import, node) => import.GlobalMaxPool(node)),
        ["HardSigmoid"] = Single((import, node) => import.Activate(node, HardSigmoid(node.Number("alpha", 0.2), node.Number("beta", 0.5)))),
        ["HardSwish"] = Single((import, node) => import.Activate(node, Activation.HardSwish)),
        ["Identity"] = Single((import, node) => import.Input(node, 0)),
        ["LRN"] = Single((import, node) => import.Lrn(node)),
        ["LayerNormalization"] = Single((import, node) => import.LayerNormalization(node)),
        ["LeakyRelu"] = Single((import, node) => import.Activate(node, new Activation(Function.LeakyRelu, node.Number("alpha", 0.01)))),
        ["Log"] = Single((import, node) => import.Activate(node, new Activation(Function.Log))),
        ["LogSoftmax"] = Single((import, node) => import.Softmax(node, isLogarithm: true)),
        ["MatMul"] = Single((import, node) => import.MatMul(node)),
        ["Max"] = Single((import, node) => import.CombineAll(node, BinaryOperator.Maximum)),
        ["MaxPool"] = Single((import, node) => import.MaxPool(node)),
        ["Min"] = Single((import, node) => import.CombineAll(node, BinaryOperator.Minimum)),
        ["Mul"] = Single((import, node) => import.Combine(node, BinaryOperator.Multiply)),
        ["Neg"] = Single((import, node) => import.Activate(node, new Activation(Function.Negate))),
        ["PRelu"] = Single((import, node) => import.PRelu(node)),
        ["Pad"] = Single((import, node) => import.Pad(node)),
        ["Pow"] = Single((import, node) => import.Combine(node, BinaryOperator.Power)),
        ["Range"] = Single((import, node) => import.Range(node)),
        ["Reciprocal"] = Single((import, node) => import.Activate(node, new Activation(Function.Reciprocal))),
        ["ReduceMax"] = Single((import, node) => import.Reduce(node, Aggregation.Maximum)),
        ["ReduceMean"] = Single((import, node) => import.Reduce(node, Aggregation.Mean)),
        ["ReduceProd"] = Single((import, node) => import.ReduceProd(node)),
        ["ReduceSum"] = Single((import, node) => import.Reduce(node, Aggregation.Sum)),
        ["Relu"] = Single((import, node) => import.Activate(node, Activation.Relu)),
        ["Reshape"] = Single((import, node) => import.Reshape(node)),
        ["Shape"] = Single((import, node) => import.Shape(node)),
        ["Sigmoid"] = Single((import, node) => import.Activate(node, Activation.Sigmoid)),
        ["Slice"] = Single((import, node) => import.Slice(node)),
        ["Softmax"] = Single((import, node) => import.Softmax(node, isLogarithm: false)),
        ["Split"] = (import, node) => import.Split(node),
        ["Sqrt"] = Single((import, node) => import.Activate(node, new Activation(Function.Sqrt))),
        ["Squeeze"] = Single((import, node) => import.Squeeze(node)),
        ["Sub"] = Single((import, node) => import.Combine(node, BinaryOperator.Subtract)),
        ["Sum"] = Single((import, node) => import.CombineAll(node, BinaryOperator.Add)),
        ["Tanh"] = Single((import, node) => import.Activate(node, new Activation(Function.Tanh))),
        ["Transpose"] = Single((import, node) => import.Transpose(node)),
        ["Unsqueeze"] = Single((import, node) => import.Unsqueeze(node)),
        ["Where"] = Single((import, node) => import.Known(node, x => where(x[0], x[1], x[2]))),
    };

    private static Reader Single(Func<OnnxImport, GraphNode, OnnxValue> read) => (import, node) => [read(import, node)];

    // The usual one has a kernel of its own; a float32 of 1 / 6 is near to a sixth.
    private static Activation HardSigmoid(double slope, double offset) =>
        Math.Abs(slope - Activation.HardSigmoid.First) < 1e-6 && offset == Activation.HardSigmoid.Second ? Activation.HardSigmoid
            : new Activation(Function.HardSigmoid, slope, offset);
}
