using System.Text.Json.Serialization;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding;

/// <summary>
/// An exponential moving average of the weights during training (Polyak and Juditsky, 1992; as used by Izmailov et al., 2018). Batch-norm
/// statistics are averaged too. Under the flood the weights move within a region of equal loss: the weights of a single step are noisy,
/// their average is not.
/// </summary>
public sealed record WeightAveraging
{
    /// <summary>
    /// The share of the average that is kept at each step, in [0, 1). Default (null): 1 - 10 / steps, so that the average spans the last
    /// tenth of the run, but at most 0.9998.
    /// </summary>
    public double? Decay { get; init; }

    /// <summary>Whether weights are averaged at all; false only for <see cref="None"/>.</summary>
    [JsonInclude]
    public bool Enabled { get; private init; } = true;

    /// <summary>No averaging: the model has the last weights or, with early stopping, the best ones.</summary>
    public static WeightAveraging None { get; } = new() { Enabled = false };

    /// <summary>Averaging with the default decay, which depends on the length of the run.</summary>
    public static WeightAveraging Exponential { get; } = new();

    /// <summary>The decay at step <paramref name="step"/> (from 0) of a run of <paramref name="totalSteps"/> steps.</summary>
    internal double DecayAt(long step, long totalSteps)
    {
        var decay = Decay ?? Math.Clamp(1 - 10.0 / totalSteps, 0, 0.9998);
        // The first weights are not worth averaging: the window grows with the run until it has its full length.
        return Math.Min(decay, (1.0 + step) / (10.0 + step));
    }
}

/// <summary>The running average of the weights and batch-norm statistics of a run.</summary>
internal sealed class WeightAverage(WorkingWeights weights, WeightAveraging averaging, long totalSteps) : IDisposable
{
    /// <summary>In the order of <see cref="WorkingWeights.All"/>.</summary>
    public Tensor[] Values { get; } = weights.Snapshot();

    /// <summary>Includes the weights after a step.</summary>
    /// <param name="step">The number of the step, from 0.</param>
    /// <param name="changed">Indices of the values that may have changed since the last step; null: all of them.</param>
    public void Update(long step, int[]? changed)
    {
        using var _ = no_grad();
        TensorListKernels.Interpolate(Select(Values), Select(weights.All), 1 - averaging.DecayAt(step, totalSteps));

        Tensor[] Select(Tensor[] tensors) => changed is null ? tensors : [.. changed.Select(i => tensors[i])];
    }

    public void Dispose()
    {
        foreach (var value in Values)
            value.Dispose();
    }
}
