using Microsoft.ML.Flooding;

namespace Reproduction;

/// <summary>A way of regularising, with and without the flood.</summary>
internal sealed record Method(string Name, Action<FloodedImageClassificationTrainer.Options> Configure)
{
    /// <summary>Weight decay, early stopping and averaging (EMA) in all combinations, as the paper's table has the first two.</summary>
    public static IReadOnlyList<Method> All { get; } =
    [
        .. from decay in new[] { false, true }
           from stopping in new[] { false, true }
           from averaging in new[] { false, true }
           select Combine(decay, stopping, averaging)
    ];

    /// <summary>None of them, and each on its own.</summary>
    public static IReadOnlyList<Method> Single { get; } =
        [Combine(false, false, false), Combine(true, false, false), Combine(false, true, false), Combine(false, false, true)];

    private static Method Combine(bool decay, bool stopping, bool averaging)
    {
        string[] parts = [.. new[] { decay ? "weight decay" : "", stopping ? "early stopping" : "", averaging ? "EMA" : "" }.Where(p => p.Length > 0)];
        return new Method(parts.Length == 0 ? "plain" : string.Join(" + ", parts), o =>
        {
            o.WeightDecay = decay ? 1e-3 : 0;
            // Patience without end: the best epoch is taken, as in the paper's early stopping, and every epoch is trained.
            o.EarlyStopping = stopping ? new EarlyStopping { Metric = EarlyStoppingMetric.Accuracy, Patience = int.MaxValue } : null;
            o.WeightAveraging = averaging ? WeightAveraging.Exponential : WeightAveraging.None;
        });
    }
}
