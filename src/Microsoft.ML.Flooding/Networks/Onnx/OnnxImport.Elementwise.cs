using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks.Onnx;

/// <content>What is done to each value by itself, and along an axis.</content>
internal sealed partial class OnnxImport
{
    private OnnxValue Activate(GraphNode node, Activation activation) => Apply(node, new ActivateOperation(activation), Input(node, 0));

    private OnnxValue Clip(GraphNode node)
    {
        var (lowest, highest) = node.Opset < 11
            ? (node.Number("min", double.NegativeInfinity), node.Number("max", double.PositiveInfinity))
            : (Bound(1) ?? double.NegativeInfinity, Bound(2) ?? double.PositiveInfinity);
        return Activate(node, lowest == 0 && double.IsPositiveInfinity(highest) ? Activation.Relu : Activation.Clip(lowest, highest));

        double? Bound(int index) => OptionalFixed(node, index) is { } bound ? Number(node, bound) : null;
    }

    private OnnxValue PRelu(GraphNode node)
    {
        var (x, slope) = (Input(node, 0), Input(node, 1));
        var negative = Apply(
            node, new ActivateOperation(Activation.Relu), Apply(node, new ActivateOperation(new Activation(Function.Negate)), x));
        return Apply(node, new CombineOperation(BinaryOperator.Subtract), Apply(node, new ActivateOperation(Activation.Relu), x),
            Apply(node, new CombineOperation(BinaryOperator.Multiply), negative, slope));
    }

    private OnnxValue Combine(GraphNode node, BinaryOperator combination)
    {
        var (x, y) = (Input(node, 0), Input(node, 1));
        if (combination == BinaryOperator.Add && (AddBias(node, 0, 1) ?? AddBias(node, 1, 0)) is { } biased)
            return biased;
        if (combination == BinaryOperator.Multiply && (Silu(node, 0, 1) ?? Silu(node, 1, 0)) is { } silu)
            return silu;
        if (combination == BinaryOperator.Divide && x is KnownValue { ForOne.dtype: ScalarType.Int64 } dividend && y is KnownValue divisor)
            return Fold(node, values => values[0].div(values[1], RoundingMode.trunc), new CombineOperation(combination), dividend, divisor);
        return Apply(node, new CombineOperation(combination), x, y);
    }

    /// <summary>A linear layer and what is added to each of its outputs are one layer.</summary>
    private ComputedValue? AddBias(GraphNode node, int layer, int addend)
    {
        if (Input(node, layer) is not ComputedValue x || Input(node, addend) is not KnownValue { IsFixed: true, Rank: 1 } bias
            || !IsSoleReader(node, layer)
            || _builder.Maker(x)?.Operation is not LinearOperation { Norm: null, Linear: { bias: null } linear }
                || bias.One[0] != x.One[^1])
        {
            return null;
        }
        linear.bias = Weight(bias.ForOne);
        return x;
    }

    /// <summary>x times its own sigmoid.</summary>
    private ComputedValue? Silu(GraphNode node, int value, int gate) =>
        Input(node, value) is ComputedValue x && Input(node, gate) is ComputedValue y && IsSoleReader(node, gate)
            && _builder.Maker(y) is { Operation: ActivateOperation { Activation.Function: Function.Sigmoid }, Inputs: [var gated] }
                && gated == x.Number
            ? _builder.Add(new ActivateOperation(Activation.Silu), x)
            : null;

    private OnnxValue CombineAll(GraphNode node, BinaryOperator combination) =>
        Enumerable.Range(1, node.Inputs.Count - 1).Aggregate(Input(node, 0), (x, i) =>
            Apply(node, new CombineOperation(combination), x, Input(node, i)));

    private OnnxValue Softmax(GraphNode node, bool isLogarithm)
    {
        var x = Input(node, 0);
        var axis = node.Axis(node.Integer("axis", node.Opset < 13 ? 1 : -1), x.Rank);
        // Before opset 13, all axes from one on are taken together.
        var joined = node.Opset < 13 && axis < x.Rank - 1 && x.One[(axis + 1)..].Any(size => size != 1);
        if (joined && axis != 1)
            throw node.Wrong($"a softmax over all axes from {axis} on is not read; export the network with opset 13 or later");
        var y = joined ? Apply(node, new ReshapeOperation([-1, x.One[1..].Aggregate((a, b) => checked(a * b))]), x) : x;
        y = Apply(node, new SoftmaxOperation(joined ? 1 : axis), y);
        if (isLogarithm)
            y = Apply(node, new ActivateOperation(new Activation(Function.Log)), y);
        return joined ? Apply(node, new ReshapeOperation([-1, .. x.One[1..]]), y) : y;
    }

    private OnnxValue Reduce(GraphNode node, Aggregation aggregation)
    {
        var x = Input(node, 0);
        var axes = Axes(node, "axes", 1) ?? [];
        if (axes.Length == 0 && node.Integer("noop_with_empty_axes", 0) != 0)
            return x;
        var from = axes.Length == 0 ? Enumerable.Range(0, x.Rank).Select(axis => (long)axis).ToArray()
            : [.. axes.Select(axis => (long)node.Axis(axis, x.Rank)).Distinct().Order()];
        if (x is ComputedValue && from.Any(axis => x.One[axis] != x.Two[axis]))
            throw node.Wrong("it goes over all images");
        return Apply(node, new ReduceOperation(aggregation, from, node.Integer("keepdims", 1) != 0), x);
    }

    private OnnxValue Dropout(GraphNode node)
    {
        var ratio = node.Opset < 12 ? node.Number("ratio", 0.5) : OptionalFixed(node, 1) is { } given ? Number(node, given) : 0.5;
        if (!(ratio is >= 0 and < 1))
            throw node.Wrong($"a ratio of {ratio} is not possible");
        return Input(node, 0) is ComputedValue x ? _builder.Add(new DropoutOperation(ratio), x) : Input(node, 0);
    }
}
