namespace Microsoft.ML.Flooding.Networks.Onnx;

/// <summary>Gathers the steps of a network, and knows the shape of every value.</summary>
internal sealed class GraphBuilder
{
    // 1 GiB of float32 for a single value of a single image.
    private const long MostValues = 1 << 28;

    private readonly List<GraphStep> _steps = [];
    private readonly List<ComputedValue> _values;

    public GraphBuilder(long[] image)
    {
        Image = new ComputedValue(0, [1, .. image], [2, .. image], IsLearned: false);
        _values = [Image];
    }

    /// <summary>The input.</summary>
    public ComputedValue Image { get; }

    public IReadOnlyList<GraphStep> Steps => _steps;

    /// <summary>The step that a value comes from; null for the input.</summary>
    public GraphStep? Maker(ComputedValue value) => value.Number == 0 ? null : _steps[value.Number - 1];

    /// <summary>The value of a number.</summary>
    public ComputedValue this[int number] => _values[number];

    /// <exception cref="ArgumentException">The operands do not go together.</exception>
    /// <exception cref="OverflowException">A size is absurd.</exception>
    public ComputedValue Add(GraphOperation operation, params ComputedValue[] operands)
    {
        var one = operation.Apply(ShapeOperators.Instance, [.. operands.Select(operand => operand.One)]);
        var two = operation.Apply(ShapeOperators.Instance, [.. operands.Select(operand => operand.Two)]);
        if (one.Aggregate(1L, (product, size) => checked(product * size)) is > MostValues and var values)
            throw new ArgumentException($"{values:N0} values for one image are more than {MostValues:N0}");
        var isLearned = operands.Any(operand => operand.IsLearned)
            || operation is ConvOperation or LinearOperation or BatchNormOperation or LayerNormOperation;
        _steps.Add(new GraphStep(operation, [.. operands.Select(operand => operand.Number)]));
        var value = new ComputedValue(_steps.Count, one, two, isLearned);
        _values.Add(value);
        return value;
    }

    /// <summary>Puts another operation in the place of the one that a value comes from.</summary>
    public void Replace(ComputedValue value, GraphOperation operation) =>
        _steps[value.Number - 1] = _steps[value.Number - 1] with { Operation = operation };
}

/// <summary>An operation and the numbers of the values it reads: 0 is the input, 1 the result of the first step.</summary>
internal sealed record GraphStep(GraphOperation Operation, int[] Inputs);
