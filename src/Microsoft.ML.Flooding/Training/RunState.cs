using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>
/// All that a run carries from one epoch to the next. Everything random is a function of the seed and the epoch, so a run that takes this up
/// goes on with the same bits.
/// </summary>
/// <param name="Progress">The scalars.</param>
/// <param name="Tensors">Weights, buffers, average, optimizer state and best weights, by name.</param>
internal sealed record RunState(RunProgress Progress, IReadOnlyList<(string Name, Tensor Value)> Tensors) : IDisposable
{
    public void Dispose()
    {
        foreach (var (_, value) in Tensors)
            value.Dispose();
    }
}

/// <summary>The scalars of a <see cref="RunState"/>.</summary>
internal sealed record RunProgress(long Step, IReadOnlyList<EpochMetrics> Epochs, BestWeightsState? Best);
