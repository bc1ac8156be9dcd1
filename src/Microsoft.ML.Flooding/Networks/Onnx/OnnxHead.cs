using TorchSharp.Modules;

namespace Microsoft.ML.Flooding.Networks.Onnx;

/// <summary>The boundary between a graph's features and its classifier.</summary>
/// <param name="Features">The features, [N, F].</param>
/// <param name="Classifier">The layer from the features to the logits; null if there is none.</param>
/// <param name="Factor">The factor that the logits are multiplied by.</param>
/// <param name="AreLogits">Whether the features themselves are logits.</param>
internal sealed record OnnxHead(ComputedValue Features, Linear? Classifier, double Factor, bool AreLogits)
{
    private const long MostFeatures = 1 << 20;

    /// <summary>The number of classes of the graph; null if its result is features.</summary>
    public long? Classes => Classifier?.out_features ?? (AreLogits ? Features.One[1] : null);

    /// <summary>
    /// The last linear layer, if only a softmax, a factor and a change of shape follow it. The result of another graph is features. If a
    /// softmax without a linear layer classifies the features, the classifier starts as the identity.
    /// </summary>
    /// <exception cref="InvalidDataException">The result is not a list of numbers for each image.</exception>
    public static OnnxHead Find(GraphBuilder builder, ComputedValue output)
    {
        var (value, factor) = (output, 1.0);
        while (builder.Maker(value) is { } step)
        {
            if (step.Operation is LinearOperation { Norm: null, Linear: var linear }
                && builder[step.Inputs[0]] is { Rank: 2 } features && IsPerImage(features))
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
            throw new InvalidDataException(
                $"Its result is {ShapeOperators.Describe(last.One)} for one image and {ShapeOperators.Describe(last.Two)} for two; "
                + "the result of a classifier is [N, classes].");
        }
        var width = last.One.Skip(1).Aggregate(1L, (a, b) => checked(a * b));
        if (width > MostFeatures)
            throw new InvalidDataException($"Its result has {width:N0} values for each image; the limit is {MostFeatures:N0}.");
        if (last.Rank != 2)
            last = builder.Add(new ReshapeOperation([-1, width]), last);
        return new OnnxHead(last, null, 1, isClassifier);

        // Whether it is a softmax over all values of an image.
        bool IsSoftmax(GraphStep step) =>
            step.Operation is SoftmaxOperation { Axis: > 0 and var axis } && builder[step.Inputs[0]].One is var shape
            ? shape.Index().All(size => size.Index == axis || size.Item == 1)
            : step.Operation is ActivateOperation { Activation.Function: Function.Log }
            && builder.Maker(builder[step.Inputs[0]]) is { Operation: SoftmaxOperation } inner && IsSoftmax(inner);

        double? ScaleOf(GraphStep step) => step is
            {
                Operation: CombineOperation { Combination: BinaryOperator.Multiply or BinaryOperator.Divide } combine,
                Inputs: [_, > 0 and var by],
            }
            && builder.Steps[by - 1].Operation is ConstantOperation { Constant.Values: var constant } && constant.numel() == 1
            ? combine.Combination == BinaryOperator.Multiply ? constant.item<float>() : 1.0 / constant.item<float>()
            : null;
    }

    private static bool IsPerImage(ComputedValue value) =>
        value.Rank > 0 && value.One[0] == 1 && value.Two[0] == 2 && value.One.AsSpan(1).SequenceEqual(value.Two.AsSpan(1));
}
