using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>The running average of the weights and of the batch-norm statistics.</summary>
internal sealed class WeightAverage(WorkingWeights weights, WeightAveraging averaging, long totalSteps) : IDisposable
{
    /// <summary>In the order of <see cref="WorkingWeights.All"/>.</summary>
    public Tensor[] Values { get; } = weights.Snapshot();

    /// <summary>Takes in the weights after step number <paramref name="step"/> (from 0).</summary>
    /// <param name="step">From 0.</param>
    /// <param name="changed">Numbers of the values that may have changed since the last step; null: any.</param>
    public void Update(long step, int[]? changed)
    {
        using var _ = no_grad();
        using var weight = (1 - averaging.DecayAt(step, totalSteps)).ToScalar();
        TensorListKernels.Invoke("lerp", Chosen(Values), Chosen(weights.All), weight);

        Tensor[] Chosen(Tensor[] tensors) => changed is null ? tensors : [.. changed.Select(i => tensors[i])];
    }

    public void Dispose()
    {
        foreach (var value in Values)
            value.Dispose();
    }
}
