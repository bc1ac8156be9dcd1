using Microsoft.ML.Flooding;

namespace Reproduction;

/// <summary>A combination of regularizers, compared with and without flooding.</summary>
internal sealed record Method(string Name, Action<FloodedImageClassificationTrainer.Options> Configure)
{
    /// <summary>All combinations of weight decay, early stopping and averaging (EMA). The paper combines the first two.</summary>
    public static IReadOnlyList<Method> All { get; } =
    [
        .. from decay in new[] { false, true }
           from stopping in new[] { false, true }
           from averaging in new[] { false, true }
           select Combine(decay, stopping, averaging)
    ];

    /// <summary>No regularizer, and each on its own.</summary>
    public static IReadOnlyList<Method> Single { get; } =
        [Combine(false, false, false), Combine(true, false, false), Combine(false, true, false), Combine(false, false, true)];

    private static Method Combine(bool decay, bool stopping, bool averaging)
    {
        string?[] names = [decay ? "weight decay" : null, stopping ? "early stopping" : null, averaging ? "EMA" : null];
        var name = string.Join(" + ", names.Where(part => part is not null));
        return new Method(name.Length == 0 ? "plain" : name, o =>
        {
            o.WeightDecay = decay ? 1e-3 : 0;

            // As in the paper, every epoch is trained and the best one is chosen: patience has no limit.
            o.EarlyStopping = stopping ? new EarlyStopping { Metric = ValidationMetric.Accuracy, Patience = int.MaxValue } : null;
            o.WeightAveraging = averaging ? WeightAveraging.Exponential : WeightAveraging.None;
        });
    }
}
