using System.Text.Json.Serialization;

namespace Microsoft.ML.Flooding;

/// <summary>The course of a training run: it travels with the model and is there again after loading.</summary>
public sealed class TrainingHistory
{
    [JsonConstructor]
    internal TrainingHistory(IReadOnlyList<EpochMetrics> epochs, int selectedEpoch, bool averagedWeights)
    {
        Epochs = epochs;
        SelectedEpoch = selectedEpoch;
        AveragedWeights = averagedWeights;
    }

    /// <summary>One entry an epoch, in order.</summary>
    public IReadOnlyList<EpochMetrics> Epochs { get; }

    /// <summary>The epoch whose weights the model has: the last one, or with early stopping the best; 0 when nothing was trained.</summary>
    public int SelectedEpoch { get; }

    /// <summary>Whether the model has the averaged weights rather than the raw ones.</summary>
    public bool AveragedWeights { get; }
}
