using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>The running average of the weights and of the batch-norm statistics.</summary>
internal sealed class WeightAverage(WorkingWeights weights, WeightAveraging averaging, long totalSteps) : IDisposable
{
    /// <summary>In the order of <see cref="WorkingWeights.All"/>.</summary>
    public Tensor[] Values { get; } = weights.Snapshot();

    /// <summary>Takes in the weights after step number <paramref name="step"/> (from 0).</summary>
    public void Update(long step)
    {
        using var _ = no_grad();
        using var weight = (1 - averaging.DecayAt(step, totalSteps)).ToScalar();
        TensorListKernels.Invoke("lerp", Values, weights.All, weight);
    }

    public void Dispose()
    {
        foreach (var value in Values)
            value.Dispose();
    }
}
