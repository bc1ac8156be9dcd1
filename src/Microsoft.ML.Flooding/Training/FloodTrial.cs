using System.Text.Json.Serialization;

namespace Microsoft.ML.Flooding;

/// <summary>One run of a search over flood levels.</summary>
public sealed record FloodTrial
{
    /// <summary>The level b of the run; 0 for plain training.</summary>
    [JsonIgnore]
    public float FloodLevel => History.FloodLevel;

    /// <summary>The history of the run.</summary>
    public required TrainingHistory History { get; init; }

    /// <summary>Whether pruning ended the run early; see <see cref="FloodLevels.Pruning"/>.</summary>
    public bool Pruned { get; init; }

    /// <summary>Where the run diverged, so that it has no result; null if it did not.</summary>
    public string? Failure { get; init; }

    /// <summary>Mean cross-entropy of the selected weights on the validation set.</summary>
    [JsonIgnore]
    public double? ValidationLoss => History.ValidationLoss;

    /// <summary>Accuracy of the selected weights on the validation set, in [0, 1].</summary>
    [JsonIgnore]
    public double? ValidationAccuracy => History.ValidationAccuracy;

    /// <summary>
    /// The number of epochs that the run shares with the plain run, because no loss had reached the flood level; they were not trained
    /// again.
    /// </summary>
    public int SharedEpochs { get; init; }

    /// <summary>The objective of the run.</summary>
    [JsonIgnore]
    internal string? Objective => History.Settings.GetValueOrDefault(nameof(TrainingOptions.Objective));

    /// <summary>Whether the search with this history chose the trial.</summary>
    internal bool IsOf(TrainingHistory search) =>
        FloodLevel == search.FloodLevel && Objective == search.Settings.GetValueOrDefault(nameof(TrainingOptions.Objective));

    /// <summary>What distinguishes the trial from the others of the search.</summary>
    internal string Describe(TrainingHistory search) => search.Trials.Select(trial => trial.Objective).Distinct().Count() > 1
        ? Objective ?? ""
        : FormattableString.Invariant($"b = {FloodLevel}");

    /// <summary>The history of the run in words, and whether it was pruned.</summary>
    public override string ToString() => Pruned ? $"{History} Pruned." : History.ToString();
}
