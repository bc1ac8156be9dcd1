using System.Text.Json.Serialization;

namespace Microsoft.ML.Flooding;

/// <summary>One run of a search over flood levels.</summary>
public sealed record FloodTrial
{
    /// <summary>The level b of the run; 0 for plain training.</summary>
    [JsonIgnore]
    public float FloodLevel => History.FloodLevel;

    /// <summary>Its course.</summary>
    public required TrainingHistory History { get; init; }

    /// <summary>Whether it was stopped before its end as hopeless; see <see cref="FloodLevels.Pruning"/>.</summary>
    public bool Pruned { get; init; }

    /// <summary>Why the run has no result: it diverged; the message says where. Null where it has one.</summary>
    public string? Failure { get; init; }

    /// <summary>Mean cross-entropy of the selected weights on the validation set.</summary>
    [JsonIgnore]
    public double? ValidationLoss => History.ValidationLoss;

    /// <summary>Accuracy of the selected weights on the validation set, in [0, 1].</summary>
    [JsonIgnore]
    public double? ValidationAccuracy => History.ValidationAccuracy;

    /// <summary>
    /// Epochs that were not trained for this run since they are those of the plain run, to the bit: the flood had not been touched.
    /// </summary>
    public int SharedEpochs { get; init; }

    /// <summary>The course of the run, and whether it was stopped.</summary>
    public override string ToString() => Pruned ? $"{History} Pruned." : History.ToString();
}
