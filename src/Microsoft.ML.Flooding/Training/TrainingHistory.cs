using System.Globalization;
using System.Text.Json.Serialization;

namespace Microsoft.ML.Flooding;

/// <summary>The course of a training run: it travels with the model and is there again after loading.</summary>
public sealed record TrainingHistory
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

    /// <summary>
    /// The epoch whose weights the model has: the last one, or with early stopping the best; 0 when nothing was trained or the run
    /// diverged.
    /// </summary>
    public int SelectedEpoch { get; }

    /// <summary>Whether the model has the averaged weights rather than the raw ones.</summary>
    public bool AveragedWeights { get; }

    /// <summary>The flood level b of the run; 0 for plain training.</summary>
    [JsonInclude]
    public float FloodLevel { get; internal init; }

    /// <summary>
    /// Whether <see cref="TrainingOptions.StopToken"/> ended the training before its end. The last of the <see cref="Epochs"/> may then
    /// be a part of an epoch; in a search, levels may be missing from the <see cref="Trials"/>.
    /// </summary>
    [JsonInclude]
    public bool Stopped { get; internal init; }

    /// <summary>The options that the run was trained with, as text by name.</summary>
    [JsonInclude]
    public IReadOnlyDictionary<string, string> Settings { get; internal init; } = new Dictionary<string, string>();

    /// <summary>The runs of the search for the level, this one among them, by ascending level; empty where the level was given.</summary>
    [JsonInclude]
    public IReadOnlyList<FloodTrial> Trials { get; internal init; } = [];

    /// <summary>
    /// The images that <see cref="OnInvalidImage.Skip"/> left out, those of the training data first; empty once the model was saved and
    /// loaded, since their texts may be nobody else's concern.
    /// </summary>
    [JsonIgnore]
    public IReadOnlyList<SkippedImage> SkippedImages { get; internal init; } = [];

    /// <summary>The stages of overfitting that the run went through, and what to do about them.</summary>
    [JsonIgnore]
    public OverfittingStages Stages => OverfittingStages.Of(Epochs, FloodLevel);

    /// <summary>Mean cross-entropy on the validation set of the weights that the model has; null without a validation set.</summary>
    [JsonIgnore]
    public double? ValidationLoss => AveragedWeights ? Selected?.AveragedValidationLoss : Selected?.ValidationLoss;

    /// <summary>Accuracy on the validation set of the weights that the model has, in [0, 1]; null without a validation set.</summary>
    [JsonIgnore]
    public double? ValidationAccuracy => AveragedWeights ? Selected?.AveragedValidationAccuracy : Selected?.ValidationAccuracy;

    /// <summary>
    /// Value of the run's <see cref="Flooding.ValidationMetric.FromFunction"/> for the weights that the model has; null without such a metric.
    /// </summary>
    [JsonIgnore]
    public double? ValidationMetric => AveragedWeights ? Selected?.AveragedValidationMetric : Selected?.ValidationMetric;

    /// <summary>The length of the run, the epoch that the model is of, and how good that is on the validation set.</summary>
    public override string ToString()
    {
        var text = string.Create(CultureInfo.InvariantCulture,
            $"{Epochs.Count} epochs, flood level b = {FloodLevel}; the model has the {(AveragedWeights ? "averaged" : "raw")} weights of epoch {SelectedEpoch}");
        return ValidationLoss is { } loss
            ? text + string.Create(CultureInfo.InvariantCulture, $": validation loss {loss:0.0000}, accuracy {ValidationAccuracy:0.0000}.")
            : text + ".";
    }

    private EpochMetrics? Selected => SelectedEpoch > 0 ? Epochs[SelectedEpoch - 1] : null;
}
