using TorchSharp.Modules;

namespace Microsoft.ML.Flooding.Networks.Onnx;

/// <summary>Where a graph's features end and its classifier begins.</summary>
/// <param name="Features">[N, F].</param>
/// <param name="Classifier">From them to the logits; null where there is none.</param>
/// <param name="Factor">What its logits are multiplied by.</param>
/// <param name="AreLogits">Whether the features are logits themselves.</param>
internal sealed record OnnxHead(ComputedValue Features, Linear? Classifier, double Factor, bool AreLogits)
{
    private const long MostFeatures = 1 << 20;

    /// <summary>The classes that the graph tells apart; null where it gives features.</summary>
    public long? Classes => Classifier?.out_features ?? (AreLogits ? Features.One[1] : null);

    /// <summary>
    /// The last linear layer, when nothing comes after it but a softmax, a factor and a change of shape. A graph that ends otherwise gives
    /// features; one that classifies them without a linear layer, by a softmax alone, begins with a classifier that leaves them as they
    /// are.
    /// </summary>
    /// <exception cref="InvalidDataException">The result is not a list of numbers for each image.</exception>
    public static OnnxHead Find(GraphBuilder builder, ComputedValue output)
    {
        var (value, factor) = (output, 1.0);
        while (builder.Maker(value) is { } step)
        {
            if (step.Operation is LinearOperation { Norm: null, Linear: var linear } && builder[step.Inputs[0]] is { Rank: 2 } features
                && IsPerImage(features))
                return new OnnxHead(features, linear, factor, AreLogits: false);
            if (ScaleOf(step) is { } scale)
                factor *= scale;
            else if (!IsSoftmax(step) && step.Operation is not (ReshapeOperation or DropoutOperation))
                break;
            value = builder[step.Inputs[0]];
        }
        var (last, isClassifier) = (output, false);
        while (builder.Maker(last) is { } step && (IsSoftmax(step) || step.Operation is DropoutOperation))
        {
            isClassifier |= IsSoftmax(step);
            last = builder[step.Inputs[0]];
        }
        if (!IsPerImage(last))
        {
            var (one, two) = (ShapeOperators.Describe(last.One), ShapeOperators.Describe(last.Two));
            throw new InvalidDataException($"Its result is {one} for one image and {two} for two; a classifier gives [N, classes].");
        }
        var width = last.One.Skip(1).Aggregate(1L, (a, b) => checked(a * b));
        if (width > MostFeatures)
            throw new InvalidDataException($"Its result has {width:N0} values for an image; features are {MostFeatures:N0} at the most.");
        if (last.Rank != 2)
            last = builder.Add(new ReshapeOperation([-1, width]), last);
        return new OnnxHead(last, null, 1, isClassifier);

        // Over all that there is of an image.
        bool IsSoftmax(GraphStep step) => step.Operation is SoftmaxOperation { Axis: > 0 and var axis }
            && builder[step.Inputs[0]].One is var shape
            ? shape.Index().All(size => size.Index == axis || size.Item == 1)
            : step.Operation is ActivateOperation { Activation.Function: Function.Log }
                && builder.Maker(builder[step.Inputs[0]]) is { Operation: SoftmaxOperation } inner && IsSoftmax(inner);

        double? ScaleOf(GraphStep step) => step is { Operation: CombineOperation combine, Inputs: [_, > 0 and var by] }
            && combine.Combination is BinaryOperator.Multiply or BinaryOperator.Divide
            && builder.Steps[by - 1].Operation is ConstantOperation { Constant.Values: var constant } && constant.numel() == 1
            ? combine.Combination == BinaryOperator.Multiply ? constant.item<float>() : 1.0 / constant.item<float>()
            : null;
    }

    private static bool IsPerImage(ComputedValue value) =>
        value.Rank > 0 && value.One[0] == 1 && value.Two[0] == 2 && value.One.AsSpan(1).SequenceEqual(value.Two.AsSpan(1));
}
