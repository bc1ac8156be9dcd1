using System.Globalization;

namespace Microsoft.ML.Flooding;

/// <summary>
/// How much the classes count in training. The weight of an image is that of its class times its own; see
/// <see cref="FloodedImageClassificationTrainer.Options.ExampleWeightColumnName"/>.
/// </summary>
public sealed record ClassWeights
{
    private readonly Func<IReadOnlyList<double>, double[]> _of;
    private readonly string _description;

    private ClassWeights(string description, Func<IReadOnlyList<double>, double[]> of) => (_description, _of) = (description, of);

    /// <summary>Every class has the weight 1. The default.</summary>
    public static ClassWeights None { get; } = new(nameof(None), totals => [.. totals.Select(_ => 1.0)]);

    /// <summary>
    /// N / (K n_c), where n_c of the N training images belong to class c and K classes have training images, as class_weight="balanced" of
    /// scikit-learn: every class has the same total weight. Where images have weights of their own, N and n_c are sums of these. A class
    /// without training images has the weight 1.
    /// </summary>
    public static ClassWeights Balanced { get; } = new(nameof(Balanced), Balance);

    /// <summary>Given weights. Their scale has no effect; images of a class of weight 0 are not used.</summary>
    /// <param name="weights">The weight of each class in the order of the label's keys, finite and at least 0, not all 0.</param>
    /// <exception cref="ArgumentException">There are no weights, one is negative or not finite, or all are 0.</exception>
    public static ClassWeights Create(params IReadOnlyList<float> weights)
    {
        ArgumentNullException.ThrowIfNull(weights);
        double[] values = [.. weights];
        if (!values.All(w => double.IsFinite(w) && w >= 0) || !values.Any(w => w > 0))
            throw new ArgumentException("There must be a weight for each class, finite and at least 0, and one above 0.", nameof(weights));
        return new ClassWeights(
            $"{nameof(Create)}({string.Join(", ", weights.Select(w => w.ToString(CultureInfo.InvariantCulture)))})",
            totals => values.Length == totals.Count
                ? [.. values]
                : throw new InvalidOperationException(
                    $"{nameof(ClassWeights)} has {values.Length} weights, and the label column has {totals.Count} classes."));
    }

    /// <summary>The weight of each class.</summary>
    /// <param name="totals">For each class, the sum of the training images' own weights.</param>
    /// <exception cref="InvalidOperationException">The weights are for another number of classes.</exception>
    internal double[] For(IReadOnlyList<double> totals) => _of(totals);

    /// <summary>The expression that creates the weights.</summary>
    public override string ToString() => _description;

    /// <summary>Whether both have the same weights.</summary>
    public bool Equals(ClassWeights? other) => other is not null && _description == other._description;

    /// <inheritdoc/>
    public override int GetHashCode() => _description.GetHashCode(StringComparison.Ordinal);

    private static double[] Balance(IReadOnlyList<double> totals)
    {
        var share = totals.Sum() / totals.Count(t => t > 0);
        return [.. totals.Select(t => t > 0 ? share / t : 1)];
    }
}
