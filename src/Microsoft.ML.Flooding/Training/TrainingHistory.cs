using System.Globalization;
using System.Text.Json.Serialization;

namespace Microsoft.ML.Flooding;

/// <summary>The history of a training run. It is saved with the model.</summary>
public sealed record TrainingHistory
{
    [JsonConstructor]
    internal TrainingHistory(IReadOnlyList<EpochMetrics> epochs, int selectedEpoch, bool averagedWeights)
    {
        Epochs = epochs;
        SelectedEpoch = selectedEpoch;
        AveragedWeights = averagedWeights;
    }

    /// <summary>One entry per epoch, in order.</summary>
    public IReadOnlyList<EpochMetrics> Epochs { get; }

    /// <summary>
    /// The epoch whose weights the model has, from 1: the last epoch or, with early stopping, the best one. 0 if nothing was trained or the
    /// run diverged.
    /// </summary>
    public int SelectedEpoch { get; }

    /// <summary>Whether the model has the averaged weights instead of the raw weights.</summary>
    public bool AveragedWeights { get; }

    /// <summary>The flood level b of the run; 0 for plain training.</summary>
    [JsonInclude]
    public float FloodLevel { get; internal init; }

    /// <summary>
    /// Whether <see cref="TrainingOptions.StopToken"/> ended training early. The last of the <see cref="Epochs"/> can then be incomplete;
    /// in a search, levels can be missing from the <see cref="Trials"/>.
    /// </summary>
    [JsonInclude]
    public bool Stopped { get; internal init; }

    /// <summary>The options of the run and digests of its data, as text by name.</summary>
    [JsonInclude]
    public IReadOnlyDictionary<string, string> Settings { get; internal init; } = new Dictionary<string, string>();

    /// <summary>The runs of the search for the flood level, including this one, by ascending level; empty without a search.</summary>
    [JsonInclude]
    public IReadOnlyList<FloodTrial> Trials { get; internal init; } = [];

    /// <summary>
    /// The setting that cross-validation chose for the last layer of a pretrained network (<see cref="FineTuning"/>), with its accuracy and
    /// log-loss on images that were held out; null without this choice.
    /// </summary>
    [JsonInclude]
    public HeadTrial? HeadTrial { get; internal init; }

    /// <summary>
    /// The images that <see cref="OnInvalidImage.Skip"/> left out, those of the training data first. They are not saved with the model,
    /// because their texts can be confidential.
    /// </summary>
    [JsonIgnore]
    public IReadOnlyList<SkippedImage> SkippedImages { get; internal init; } = [];

    /// <summary>The stages of overfitting in the run, and what to do about them.</summary>
    [JsonIgnore]
    public OverfittingStages Stages => OverfittingStages.Of(Epochs, FloodLevel);

    /// <summary>Mean cross-entropy of the model's weights on the validation set; null without a validation set.</summary>
    [JsonIgnore]
    public double? ValidationLoss => AveragedWeights ? Selected?.AveragedValidationLoss : Selected?.ValidationLoss;

    /// <summary>Accuracy of the model's weights on the validation set, in [0, 1]; null without a validation set.</summary>
    [JsonIgnore]
    public double? ValidationAccuracy => AveragedWeights ? Selected?.AveragedValidationAccuracy : Selected?.ValidationAccuracy;

    /// <summary>
    /// Value of the run's <see cref="Flooding.ValidationMetric.FromFunction"/> for the model's weights; null without such a metric.
    /// </summary>
    [JsonIgnore]
    public double? ValidationMetric => AveragedWeights ? Selected?.AveragedValidationMetric : Selected?.ValidationMetric;

    /// <summary>The length of the run, the selected epoch, and its validation figures.</summary>
    public override string ToString()
    {
        var text = string.Create(CultureInfo.InvariantCulture,
            $"{Epochs.Count} epochs, flood level b = {FloodLevel}; the model has the {(AveragedWeights ? "averaged" : "raw")} weights of ")
            + string.Create(CultureInfo.InvariantCulture, $"epoch {SelectedEpoch}");
        return ValidationLoss is { } loss
            ? text + string.Create(CultureInfo.InvariantCulture, $": validation loss {loss:0.0000}, accuracy {ValidationAccuracy:0.0000}.")
            : text + ".";
    }

    private EpochMetrics? Selected => SelectedEpoch > 0 ? Epochs[SelectedEpoch - 1] : null;
}
