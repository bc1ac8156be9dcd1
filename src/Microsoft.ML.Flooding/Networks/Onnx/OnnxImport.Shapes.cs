using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks.Onnx;

/// <content>What moves values and leaves them as they are, and what is known without an image.</content>
internal sealed partial class OnnxImport
{
    private OnnxValue Reshape(GraphNode node)
    {
        var x = Input(node, 0);
        var target = Input(node, 1) as KnownValue ?? throw node.Wrong("its sizes are computed from the image");
        var keepsZeros = node.Integer("allowzero", 0) != 0;
        var one = Sizes(node, Integers(node, target.ForOne), x.One, keepsZeros);
        return Reshape(node, x, one, target.IsFixed ? null : Sizes(node, Integers(node, target.ForTwo), x.Two, keepsZeros));
    }

    /// <param name="node">For errors.</param>
    /// <param name="x">The value.</param>
    /// <param name="one">The new shape for one image.</param>
    /// <param name="two">
    /// That for two; null: the graph was made for a single image, and the axis in which the images lie is looked for.
    /// </param>
    private OnnxValue Reshape(GraphNode node, OnnxValue x, long[] one, long[]? two)
    {
        if (!x.IsPerImage)
            return Apply(node, new ReshapeOperation(one), x);
        two ??= ForTwo(node, x, one);
        if (one.Length != two.Length || one.Zip(two).Count(sizes => sizes.First != sizes.Second) != 1)
        {
            throw node.Wrong(
                $"{ShapeOperators.Describe(one)} for one image and {ShapeOperators.Describe(two)} for two leave no axis to the images");
        }
        return Apply(node, new ReshapeOperation([.. one.Zip(two).Select(sizes => sizes.First == sizes.Second ? sizes.First : -1)]), x);
    }

    /// <summary>The images lie behind as many values as before.</summary>
    private static long[] ForTwo(GraphNode node, OnnxValue x, long[] one)
    {
        var images = Enumerable.Range(0, x.Rank).First(axis => x.One[axis] != x.Two[axis]);
        var before = x.One[..images].Aggregate(1L, (a, b) => a * b);
        for (var (axis, product) = (0, 1L); axis < one.Length; product *= one[axis++])
        {
            if (product == before)
                return [.. one.AsSpan(0, axis), checked(2 * one[axis]), .. one.AsSpan(axis + 1)];
        }
        throw node.Wrong($"{ShapeOperators.Describe(one)} leaves no axis to the images");
    }

    /// <summary>Sizes with those that are left open, 0 and -1, filled in.</summary>
    private static long[] Sizes(GraphNode node, long[] sizes, long[] x, bool keepsZeros)
    {
        var filled = sizes.Select((size, axis) => size != 0 || keepsZeros ? size
            : axis < x.Length ? x[axis]
                : throw node.Wrong($"it keeps an axis {axis}, which {ShapeOperators.Describe(x)} has not")).ToArray();
        return ShapeOperators.Instance.Reshape(filled, x);
    }

    private OnnxValue Flatten(GraphNode node)
    {
        var x = Input(node, 0);
        var axis = (int)node.Integer("axis", 1);
        axis = axis == x.Rank ? axis : node.Axis(axis, x.Rank);
        if (axis == 1 && x is ComputedValue && x.One.AsSpan(1).SequenceEqual(x.Two.AsSpan(1)))
            return Apply(node, new ReshapeOperation([-1, x.One[1..].Aggregate(1L, (a, b) => checked(a * b))]), x);
        return Reshape(node, x, Matrix(x.One), Matrix(x.Two));

        long[] Matrix(long[] shape) =>
            [shape[..axis].Aggregate(1L, (a, b) => checked(a * b)), shape[axis..].Aggregate(1L, (a, b) => checked(a * b))];
    }

    private OnnxValue Squeeze(GraphNode node)
    {
        var x = Input(node, 0);
        var axes = Axes(node, "axes", 1) is { } given
            ? [.. given.Select(axis => node.Axis(axis, x.Rank))]
            // Not that of the images, which is one only where the graph was made for a single one.
            : Enumerable.Range(0, x.Rank).Where(axis => x.One[axis] == 1 && x.Two[axis] == 1).ToHashSet();
        if (axes.Any(axis => x.One[axis] != 1 || x.Two[axis] != 1))
            throw node.Wrong($"it takes away an axis of {ShapeOperators.Describe(x.One)} that has more than one value, or the images");
        return Reshape(node, x, Left(x.One), Left(x.Two));

        long[] Left(long[] shape) => [.. shape.Where((_, axis) => !axes.Contains(axis))];
    }

    private OnnxValue Unsqueeze(GraphNode node)
    {
        var x = Input(node, 0);
        var given = Axes(node, "axes", 1) ?? throw node.Wrong("it has no axes");
        var rank = x.Rank + given.Length;
        var axes = given.Select(axis => node.Axis(axis, rank)).ToHashSet();
        if (axes.Count != given.Length)
            throw node.Wrong("it adds an axis twice");
        return Reshape(node, x, With(x.One), With(x.Two));

        long[] With(long[] shape)
        {
            var old = new Queue<long>(shape);
            return [.. Enumerable.Range(0, rank).Select(axis => axes.Contains(axis) ? 1 : old.Dequeue())];
        }
    }

    private OnnxValue Transpose(GraphNode node)
    {
        var x = Input(node, 0);
        var axes = node.Integers("perm") ?? [.. Enumerable.Range(0, x.Rank).Reverse().Select(axis => (long)axis)];
        return Apply(node, new PermuteOperation(axes), x);
    }

    private OnnxValue Concat(GraphNode node)
    {
        var values = Enumerable.Range(0, node.Inputs.Count).Select(i => Input(node, i)).ToArray();
        if (values.Length == 0)
            throw node.Wrong("it has no inputs");
        var axis = node.Axis(node.Integer("axis", 0), values[0].Rank);
        // A constant of one image's size, as the class token of a transformer, goes to each image.
        if (values.FirstOrDefault(value => value is ComputedValue { IsPerImage: true }) is ComputedValue images
            && images.One[0] != images.Two[0])
        {
            for (var i = 0; i < values.Length; i++)
            {
                if (values[i] is KnownValue { IsFixed: true } known && axis > 0 && known.Rank == images.Rank && known.One[0] == 1)
                    values[i] = _builder.Add(new RepeatOperation(), Constant(node, known, images.IsLearned), images);
            }
        }
        return Apply(node, new ConcatOperation(axis), values);
    }

    private OnnxValue[] Split(GraphNode node)
    {
        var x = Input(node, 0);
        var axis = node.Axis(node.Integer("axis", 0), x.Rank);
        var (size, parts) = (x.One[axis], node.Outputs.Count);
        var each = (size + parts - 1) / Math.Max(1, parts);
        var sizes = Axes(node, "split", 1) ?? [.. Enumerable.Range(0, parts).Select(i => Math.Min(each, size - (i * each)))];
        if (sizes.Length != parts || sizes.Any(part => part < 1) || sizes.Sum() != size || x.Two[axis] != size)
            throw node.Wrong($"parts of {ShapeOperators.Describe(sizes)} do not make axis {axis} of {ShapeOperators.Describe(x.One)}");
        var (start, results) = (0L, new OnnxValue[parts]);
        for (var i = 0; i < parts; start += sizes[i++])
            results[i] = Apply(node, new SliceOperation(axis, start, start + sizes[i], 1), x);
        return results;
    }

    private OnnxValue Slice(GraphNode node)
    {
        var x = Input(node, 0);
        var isOld = node.Opset < 10;
        var starts = Bounds("starts", 1) ?? throw node.Wrong("it has no starts");
        var ends = Bounds("ends", 2) ?? throw node.Wrong("it has no ends");
        var axes = Bounds("axes", 3) ?? [.. Enumerable.Range(0, starts.Length).Select(axis => (long)axis)];
        var steps = (isOld ? null : Bounds("steps", 4)) ?? [.. starts.Select(_ => 1L)];
        if (ends.Length != starts.Length || axes.Length != starts.Length || steps.Length != starts.Length)
            throw node.Wrong("its starts, ends, axes and steps are not of one number");
        for (var i = 0; i < starts.Length; i++)
            x = Slice(node, x, node.Axis(axes[i], x.Rank), starts[i], ends[i], steps[i]);
        return x;

        long[]? Bounds(string attribute, int index) => isOld ? node.Integers(attribute) : OptionalFixed(node, index) is { } values
            ? Integers(node, values) : null;
    }

    private OnnxValue Slice(GraphNode node, OnnxValue x, int axis, long start, long end, long step)
    {
        var size = x.One[axis];
        if (step == 0)
            throw node.Wrong("a step of 0 leads nowhere");
        if (x.Two[axis] != size)
            return start == 0 && end >= size && step == 1 ? x : throw node.Wrong("it takes some of the images");
        var (lowest, highest) = step > 0 ? (0L, size) : (-1L, size - 1);
        start = Math.Clamp(start < 0 ? start + size : start, Math.Max(lowest, 0), highest);
        end = Math.Clamp(end < 0 ? end + size : end, lowest, highest);
        if (step > 0)
            return start == 0 && end == size && step == 1 ? x : Apply(node, new SliceOperation(axis, start, end, step), x);
        var backwards = new List<long>();
        for (var i = start; i > end; i = step < -size ? end : i + step)
            backwards.Add(i);
        return Apply(node, new GatherOperation(axis, [.. backwards]), x);
    }

    private OnnxValue Gather(GraphNode node)
    {
        var (x, numbers) = (Input(node, 0), Fixed(node, 1));
        var axis = node.Axis(node.Integer("axis", 0), x.Rank);
        if (x.One[axis] != x.Two[axis])
            throw node.Wrong("it takes some of the images");
        var indices = Integers(node, numbers.flatten()).Select(index => index < 0 ? index + x.One[axis] : index).ToArray();
        OnnxValue taken = indices is [var single] ? Apply(node, new SliceOperation(axis, single, single + 1, 1), x)
            : Apply(node, new GatherOperation(axis, indices), x);
        return numbers.ndim == 1 ? taken : Reshape(node, taken, With(taken.One), With(taken.Two));

        long[] With(long[] shape) => [.. shape[..axis], .. numbers.shape, .. shape[(axis + 1)..]];
    }

    private OnnxValue Pad(GraphNode node)
    {
        var x = Input(node, 0);
        var pads = (node.Opset < 11 ? node.Integers("pads") : Integers(node, Fixed(node, 1))) ?? throw node.Wrong("it has no pads");
        var value = node.Opset < 11 ? node.Number("value", 0) : OptionalFixed(node, 2) is { } given ? Number(node, given) : 0;
        var axes = OptionalFixed(node, 3) is { } some ? [.. Integers(node, some).Select(axis => node.Axis(axis, x.Rank))]
            : Enumerable.Range(0, x.Rank).ToArray();
        if (pads.Length != 2 * axes.Length)
            throw node.Wrong($"{pads.Length} pads do not go with {axes.Length} axes");
        var (before, after) = (new long[x.Rank], new long[x.Rank]);
        for (var i = 0; i < axes.Length; i++)
            (before[axes[i]], after[axes[i]]) = (pads[i], pads[i + axes.Length]);
        // A negative pad takes away.
        for (var axis = 0; axis < x.Rank; axis++)
        {
            if (before[axis] < 0 || after[axis] < 0)
                x = Slice(node, x, axis, Math.Max(0, -before[axis]), x.One[axis] - Math.Max(0, -after[axis]), 1);
            (before[axis], after[axis]) = (Math.Max(0, before[axis]), Math.Max(0, after[axis]));
            if (before[axis] + after[axis] > 0 && x.One[axis] != x.Two[axis])
                throw node.Wrong("it adds images");
        }
        if (before.Concat(after).All(pad => pad == 0))
            return x;
        switch (node.Text("mode", "constant"))
        {
            case "constant":
                return Apply(node, new PadOperation(before, after, value), x);
            case "edge":
                return PadFromWithin((i, size) => Math.Clamp(i, 0, size - 1));
            case "reflect":
                return PadFromWithin((i, size) => i < 0 ? -i : i >= size ? (2 * (size - 1)) - i : i);
            case var mode:
                throw node.Wrong($"padding of mode '{mode}' is not read");
        }

        OnnxValue PadFromWithin(Func<long, long, long> source)
        {
            for (var axis = 0; axis < before.Length; axis++)
            {
                var size = x.One[axis];
                if (before[axis] + after[axis] == 0)
                    continue;
                if (before[axis] >= size + 1 || after[axis] >= size + 1)
                    throw node.Wrong($"it pads {size} values by more");
                x = Apply(node, new GatherOperation(axis,
                    [.. Enumerable.Range(0, (int)(before[axis] + size + after[axis])).Select(i => source(i - before[axis], size))]), x);
            }
            return x;
        }
    }

    private OnnxValue Expand(GraphNode node)
    {
        var x = Input(node, 0);
        var target = Input(node, 1) as KnownValue ?? throw node.Wrong("its sizes are computed from the image");
        var (one, two) = (Broadcast(x.One, Integers(node, target.ForOne)), Broadcast(x.Two, Integers(node, target.ForTwo)));
        if (x.One.SequenceEqual(one) && x.Two.SequenceEqual(two))
            return x;
        if (x is not KnownValue { IsFixed: true } known)
            throw node.Wrong("it repeats what is computed from the image");
        if (one.SequenceEqual(two))
            return Filled(one, known);
        // For each image the same.
        return one is [1, ..] && two[0] == 2 && one.AsSpan(1).SequenceEqual(two.AsSpan(1))
            ? _builder.Add(new RepeatOperation(), Constant(node, Filled(one, known), isLearned: true), _builder.Image)
            : throw node.Wrong("it repeats values within an image for each image");

        KnownValue Filled(long[] sizes, KnownValue values)
        {
            Grow(node, sizes.Aggregate(1L, (a, b) => checked(a * b)) - values.ForOne.numel());
            return new KnownValue(values.ForOne.expand(sizes));
        }

        static long[] Broadcast(long[] shape, long[] sizes) => ShapeOperators.Instance.Combine(BinaryOperator.Add, shape, sizes);
    }

    private KnownValue Shape(GraphNode node)
    {
        var x = Input(node, 0);
        // From opset 15 on, a part of it.
        var (start, end) = (Bound(node.Integer("start", 0)), Bound(node.Integer("end", x.Rank)));
        return PerImage(Part(x.One), Part(x.Two));

        int Bound(long axis) => (int)Math.Clamp(axis < 0 ? axis + x.Rank : axis, 0, x.Rank);

        long[] Part(long[] shape) => start < end ? shape[start..end] : [];
    }

    private static KnownValue PerImage(long[] one, long[] two) => one.SequenceEqual(two) ? new KnownValue(tensor(one))
        : new KnownValue(tensor(one), tensor(two));

    private OnnxValue Cast(GraphNode node)
    {
        var type = (TensorProto.Types.DataType)node.Integer("to", 0);
        var to = OnnxTensor.TypeOf(new TensorProto { Name = node.Outputs[0], DataType = type });
        if (Input(node, 0) is KnownValue known)
            return Fold(node, values => values[0].to(to), null, known);
        // What is computed from the image is float32 throughout.
        return to == ScalarType.Float32 ? Input(node, 0) : throw node.Wrong($"what is computed from the image cannot become {type}");
    }

    private static KnownValue Constant(GraphNode node)
    {
        if (node.Tensor("value") is { } value)
            return new KnownValue(value);
        if (node.Has("value_int"))
            return new KnownValue(tensor(node.Integer("value_int", 0)));
        if (node.Has("value_float"))
            return Scalar(node.Number("value_float", 0));
        if (node.Integers("value_ints") is { Length: > 0 } integers)
            return new KnownValue(tensor(integers));
        return node.Numbers("value_floats") is { } numbers ? new KnownValue(tensor(numbers.Select(number => (float)number).ToArray()))
            : throw node.Wrong("it has no value that is read");
    }

    private KnownValue ConstantOfShape(GraphNode node)
    {
        var sizes = Input(node, 0) as KnownValue ?? throw node.Wrong("its sizes are computed from the image");
        var value = node.Tensor("value") ?? tensor(0f);
        if (value.numel() != 1)
            throw node.Wrong("its value is not a single one");
        return Fold(node, values =>
        {
            var shape = Integers(node, values[0]);
            if (shape.Any(size => size < 0))
                throw node.Wrong($"{ShapeOperators.Describe(shape)} is no shape");
            Grow(node, shape.Aggregate(1L, (a, b) => checked(a * b)));
            return value.reshape([.. Enumerable.Repeat(1L, shape.Length)]).expand(shape).clone();
        }, null, sizes);
    }

    private KnownValue Range(GraphNode node)
    {
        var (start, end, step) = (Number(node, Fixed(node, 0)), Number(node, Fixed(node, 1)), Number(node, Fixed(node, 2)));
        var count = Math.Ceiling((end - start) / step);
        if (!(count is >= 0 and <= MostGrowth))
            throw node.Wrong($"there is no range from {start} to {end} by {step}");
        Grow(node, (long)count);
        return new KnownValue(tensor(Enumerable.Range(0, (int)count).Select(i => start + (i * step)).ToArray()).to(Fixed(node, 0).dtype));
    }

    private KnownValue ReduceProd(GraphNode node)
    {
        if (Input(node, 0).Rank > 1)
            throw node.Wrong("the product of a list is read, not that of a table");
        var keeps = node.Integer("keepdims", 1) != 0;
        return Fold(node, values => keeps ? values[0].prod().reshape(values[0].ndim == 0 ? [] : [1]) : values[0].prod(), null,
            Input(node, 0) as KnownValue ?? throw node.Wrong("this operator is read where its inputs are constants only"));
    }

    /// <summary>Of constants only.</summary>
    private KnownValue Known(GraphNode node, Func<Tensor[], Tensor> compute)
    {
        var operands = Enumerable.Range(0, node.Inputs.Count)
            .Select(i => Input(node, i) as KnownValue
                ?? throw node.Wrong("this operator is read where its inputs are constants only")).ToArray();
        foreach (var shape in new[] { operands.Select(operand => operand.One), operands.Select(operand => operand.Two) })
        {
            var result = shape.Aggregate((x, y) => ShapeOperators.Instance.Combine(BinaryOperator.Add, x, y));
            Grow(node, result.Aggregate(1L, (a, b) => checked(a * b)) - operands.Sum(operand => operand.ForOne.numel()));
        }
        return Fold(node, compute, null, operands);
    }
}
