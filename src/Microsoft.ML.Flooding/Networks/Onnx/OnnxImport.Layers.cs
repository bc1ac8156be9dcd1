using Microsoft.ML.Flooding.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks.Onnx;

/// <content>Layers and pooling.</content>
internal sealed partial class OnnxImport
{
    private ComputedValue Conv(GraphNode node)
    {
        var (x, weight, bias) = (Computed(node, 0), Fixed(node, 1), OptionalFixed(node, 2));
        var groups = node.Integer("group", 1);
        if (weight.ndim != 4 || x.Rank != 4)
            throw node.Wrong("convolutions over height and width are read, of weights with four axes");
        var sizes = weight.shape;
        if (sizes.Contains(0) || groups < 1 || sizes[0] % groups != 0 || (bias is not null && !bias.shape.SequenceEqual([sizes[0]])))
            throw node.Wrong($"weights {ShapeOperators.Describe(sizes)}, {groups} groups and the bias do not go together");
        var window = Window(node, x, sizes[2..]);
        var symmetric = window.Before.SequenceEqual(window.After);
        var padding = symmetric ? window.Before : [0, 0];
        var conv = nn.Conv2d(
            checked(sizes[1] * groups), sizes[0], (sizes[2], sizes[3]), (window.Stride[0], window.Stride[1]), (padding[0], padding[1]),
            (window.Dilation[0], window.Dilation[1]), groups: groups, bias: bias is not null, device: OnnxTensor.Nowhere);
        conv.weight = Weight(weight);
        if (bias is not null)
            conv.bias = Weight(bias);
        return _builder.Add(new ConvOperation(conv), symmetric ? x : Pad(x, window, 0));
    }

    private ComputedValue BatchNormalization(GraphNode node)
    {
        var x = Computed(node, 0);
        var values = Enumerable.Range(1, 4).Select(i => Fixed(node, i)).ToArray();
        if (node.Integer("spatial", 1) != 1)
            throw node.Wrong("normalization of each pixel by itself (spatial = 0) is not read");
        if (x.Rank is not (2 or 3 or 4) || !Array.TrueForAll(values, value => value.shape.SequenceEqual([x.One[1]])))
            throw node.Wrong($"its four vectors must have the {(x.Rank > 1 ? x.One[1] : 0)} values of axis 1");
        var (channels, epsilon, momentum) = (x.One[1], node.Number("epsilon", 1e-5), 1 - node.Number("momentum", 0.9));
        BatchNorm norm = x.Rank == 4 ? nn.BatchNorm2d(channels, epsilon, momentum, device: Place)
            : nn.BatchNorm1d(channels, epsilon, momentum, device: Place);
        foreach (var (own, value) in new[] { norm.weight!, norm.bias!, norm.running_mean!, norm.running_var! }.Zip(values))
            Set(own, value);
        GraphOperation? joined = (_builder.Maker(x)?.Operation, norm) switch
        {
            _ when !IsSoleReader(node) => null,
            (ConvOperation { Norm: null } conv, BatchNorm2d own) => conv with { Norm = own },
            (LinearOperation { Norm: null } linear, BatchNorm1d own) => linear with { Norm = own },
            _ => null,
        };
        if (joined is null)
            return _builder.Add(new BatchNormOperation(norm), x);
        _builder.Replace(x, joined);
        return x;
    }

    private ComputedValue LayerNormalization(GraphNode node)
    {
        var (x, scale, bias) = (Computed(node, 0), Fixed(node, 1), OptionalFixed(node, 2));
        if (node.Axis(node.Integer("axis", -1), x.Rank) != x.Rank - 1)
            throw node.Wrong("layer normalization over the last axis is read, not over several");
        var width = x.One[^1];
        if (scale.numel() != width || (bias is not null && bias.numel() != width))
            throw node.Wrong($"its scale and bias must have the {width} values of the last axis");
        var norm = nn.LayerNorm(width, node.Number("epsilon", 1e-5), device: Place);
        Set(norm.weight, scale.reshape(width));
        if (bias is null)
            norm.bias!.zero_();
        else
            Set(norm.bias!, bias.reshape(width));
        return _builder.Add(new LayerNormOperation(norm), x);
    }

    private OnnxValue Gemm(GraphNode node)
    {
        var (a, b, c) = (Input(node, 0), Input(node, 1), Optional(node, 2));
        var (alpha, beta) = (node.Number("alpha", 1), node.Number("beta", 1));
        if (node.Integer("transA", 0) != 0)
            a = Apply(node, new PermuteOperation([1, 0]), a);
        if (node.Integer("transB", 0) != 0)
            b = Apply(node, new PermuteOperation([1, 0]), b);
        if (a is ComputedValue x && b is KnownValue { IsFixed: true, Rank: 2 } weight && c is null or KnownValue { IsFixed: true })
        {
            var (inputs, outputs) = (weight.One[0], weight.One[1]);
            var bias = (c as KnownValue)?.ForOne;
            if (bias is null || bias.numel() == outputs || bias.numel() == 1)
            {
                return Linear(x, Scaled(weight.ForOne.t(), alpha), bias is null ? null
                    : Scaled(bias.numel() == outputs ? bias.reshape(outputs) : bias.reshape(1).expand(outputs), beta));
            }
        }
        var product = MatMul(node, a, b);
        if (alpha != 1)
            product = Apply(node, new CombineOperation(BinaryOperator.Multiply), product, Scalar(alpha));
        if (c is null)
            return product;
        return Apply(node, new CombineOperation(BinaryOperator.Add), product, beta == 1 ? c
            : Apply(node, new CombineOperation(BinaryOperator.Multiply), c, Scalar(beta)));
    }

    private OnnxValue MatMul(GraphNode node) => MatMul(node, Input(node, 0), Input(node, 1));

    private OnnxValue MatMul(GraphNode node, OnnxValue x, OnnxValue y) =>
        (x, y) is (ComputedValue computed, KnownValue { IsFixed: true, Rank: 2 } weight)
        ? Linear(computed, weight.ForOne.t(), null)
        : Apply(node, new MatMulOperation(), x, y);

    private ComputedValue Linear(ComputedValue x, Tensor weight, Tensor? bias) =>
        _builder.Add(new LinearOperation(nn.Linear(Weight(weight), bias is null ? null : Weight(bias))), x);

    private static Tensor Scaled(Tensor values, double factor) => factor == 1 ? values : values.Times(factor);

    private static KnownValue Scalar(double value) => new(tensor((float)value));

    private ComputedValue MaxPool(GraphNode node)
    {
        var x = Computed(node, 0);
        var window = Window(node, x, node.Integers("kernel_shape") ?? throw node.Wrong("it has no kernel_shape"));
        // libtorch pads by half of a kernel at the most.
        var symmetric = window.Before.SequenceEqual(window.After)
            && !window.Before.Index().Any(padding => padding.Item > window.Kernel[padding.Index] / 2);
        var padded = symmetric ? x : Pad(x, window, double.NegativeInfinity);
        return _builder.Add(new PoolOperation(
            new Pooling(Aggregation.Maximum, window.Kernel, window.Stride, symmetric ? window.Before : [0, 0], window.Dilation)), padded);
    }

    private ComputedValue AveragePool(GraphNode node)
    {
        var x = Computed(node, 0);
        var window = Window(node, x, node.Integers("kernel_shape") ?? throw node.Wrong("it has no kernel_shape"));
        if (!window.Dilation.SequenceEqual([1, 1]))
            throw node.Wrong("means of a window with gaps (dilations) are not read");
        var pooling = new Pooling(Aggregation.Mean, window.Kernel, window.Stride, [0, 0], [1, 1]);
        var mean = _builder.Add(new PoolOperation(pooling), Pad(x, window, 0));
        // The mean of all values of a window, to be made that of those which count.
        var counted = node.Integer("count_include_pad", 0) != 0 ? window.Declared : ([0, 0], [0, 0]);
        var (rows, columns) = (Shares(0), Shares(1));
        foreach (var (shares, factor) in new[] { (rows, tensor(rows).reshape(1, 1, -1, 1)),
            (columns, tensor(columns).reshape(1, 1, 1, -1)) })
            mean = Array.TrueForAll(shares, share => share == 1) ? mean
                : _builder.Add(new CombineOperation(BinaryOperator.Multiply), mean, Constant(factor));
        return mean;

        // The kernel over the values of the window that count, for each position on an axis.
        float[] Shares(int axis) => [.. Enumerable.Range(0, (int)mean.One[axis + 2]).Select(i =>
        {
            var start = (i * window.Stride[axis]) - window.Before[axis];
            var first = Math.Max(start, -counted.Item1[axis]);
            var last = Math.Min(start + window.Kernel[axis], x.One[axis + 2] + counted.Item2[axis]);
            return (float)window.Kernel[axis] / Math.Max(1, last - first);
        })];
    }

    private ComputedValue GlobalAveragePool(GraphNode node) => Computed(node, 0) is { Rank: 4 } x
        ? _builder.Add(new GlobalAveragePoolOperation(), x)
        : throw node.Wrong("it takes [N, C, H, W]");

    private ComputedValue GlobalMaxPool(GraphNode node) => Computed(node, 0) is { Rank: 4 } x
        ? _builder.Add(new ReduceOperation(Aggregation.Maximum, [2, 3], Keeps: true), x)
        : throw node.Wrong("it takes [N, C, H, W]");

    /// <summary>
    /// x / (bias + alpha / size * the sum of the squares of the channels beside) ^ beta (Krizhevsky et al., NeurIPS 2012).
    /// </summary>
    private OnnxValue Lrn(GraphNode node)
    {
        var x = Computed(node, 0);
        var size = node.Integer("size", 0);
        if (x.Rank != 4 || size < 1)
            throw node.Wrong("it takes [N, C, H, W] and a size of at least 1");
        var (alpha, beta, bias) = (node.Number("alpha", 1e-4), node.Number("beta", 0.75), node.Number("bias", 1));
        var (channels, height, width) = (x.One[1], x.One[2], x.One[3]);
        OnnxValue y = _builder.Add(new CombineOperation(BinaryOperator.Multiply), x, x);
        y = Apply(node, new ReshapeOperation([-1, 1, channels, checked(height * width)]), y);
        y = Apply(node, new PadOperation([0, 0, (size - 1) / 2, 0], [0, 0, size / 2, 0], 0), y);
        y = Apply(node, new PoolOperation(new Pooling(Aggregation.Mean, [size, 1], [1, 1], [0, 0], [1, 1])), y);
        y = Apply(node, new ReshapeOperation([-1, channels, height, width]), y);
        y = Apply(node, new CombineOperation(BinaryOperator.Add),
            Apply(node, new CombineOperation(BinaryOperator.Multiply), y, Scalar(alpha)), Scalar(bias));
        y = Apply(node, new CombineOperation(BinaryOperator.Power), y, Scalar(beta));
        return Apply(node, new CombineOperation(BinaryOperator.Divide), x, y);
    }

    private ComputedValue Pad(ComputedValue x, SlidingWindow window, double value) =>
        window.Before.Concat(window.After).All(padding => padding == 0) ? x
            : _builder.Add(new PadOperation([0, 0, .. window.Before], [0, 0, .. window.After], value), x);

    /// <summary>How a window slides, with the padding that auto_pad and ceil_mode ask for.</summary>
    private static SlidingWindow Window(GraphNode node, ComputedValue x, long[] kernel)
    {
        if (x.Rank != 4 || kernel.Length != 2)
            throw node.Wrong("windows over height and width are read");
        if (node.Integers("kernel_shape") is { } declared && !declared.SequenceEqual(kernel))
            throw node.Wrong(
                $"its kernel_shape is {ShapeOperators.Describe(declared)}, but that of its weights is {ShapeOperators.Describe(kernel)}");
        var (stride, dilation, pads) = (node.Pair("strides", 1), node.Pair("dilations", 1), node.Integers("pads") ?? [0, 0, 0, 0]);
        const long Most = 1 << 20;
        if (kernel.Concat(stride).Concat(dilation).Any(size => size is < 1 or > Most) || pads.Length != 4
            || pads.Any(size => size is < 0 or > Most))
            throw node.Wrong("its kernel, strides, dilations or pads are impossible");
        long[] before = pads[..2], after = pads[2..];
        var automatic = node.Text("auto_pad", "NOTSET");
        for (var i = 0; i < 2 && automatic != "NOTSET"; i++)
        {
            var missing = Math.Max(
                0, ((((x.One[i + 2] + stride[i] - 1) / stride[i]) - 1) * stride[i]) + (dilation[i] * (kernel[i] - 1)) + 1 - x.One[i + 2]);
            (before[i], after[i]) = automatic switch
            {
                "SAME_UPPER" => (missing / 2, missing - (missing / 2)),
                "SAME_LOWER" => (missing - (missing / 2), missing / 2),
                "VALID" => (0, 0),
                _ => throw node.Wrong($"there is no auto_pad '{automatic}'"),
            };
        }
        var declaredPadding = ((long[])before.Clone(), (long[])after.Clone());
        for (var i = 0; i < 2 && node.Integer("ceil_mode", 0) != 0; i++)
        {
            var span = x.One[i + 2] + before[i] + after[i] - (dilation[i] * (kernel[i] - 1)) - 1;
            var positions = ((span + stride[i] - 1) / stride[i]) + 1;
            // A last window that begins behind the values and their padding is left out.
            if ((positions - 1) * stride[i] >= x.One[i + 2] + before[i])
                positions--;
            after[i] += Math.Max(0, ((positions - 1) * stride[i]) - span);
        }
        return new SlidingWindow(kernel, stride, dilation, before, after, declaredPadding);
    }

    /// <param name="Kernel">Height and width.</param>
    /// <param name="Stride">Height and width.</param>
    /// <param name="Dilation">Height and width.</param>
    /// <param name="Before">Padding above and to the left.</param>
    /// <param name="After">Padding below and to the right, so that every position is a whole window.</param>
    /// <param name="Declared">The padding that counts as values where padding does: without what ceil_mode adds.</param>
    private sealed record SlidingWindow(
        long[] Kernel, long[] Stride, long[] Dilation, long[] Before, long[] After, (long[] Item1, long[] Item2) Declared);
}
