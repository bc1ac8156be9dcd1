using System.Globalization;
using Microsoft.ML.Flooding.Training;

namespace Microsoft.ML.Flooding;

/// <summary>Epochs of a run, numbered from 1, both ends included.</summary>
/// <param name="First">The first epoch.</param>
/// <param name="Last">The last epoch.</param>
public readonly record struct EpochRange(int First, int Last);

/// <summary>
/// The stages of overfitting that Ishida et al. (ICML 2020, figure 1) distinguish, found in the losses of a run. The noise is measured on
/// the curves themselves; a rise counts only if it exceeds the noise.
/// </summary>
public sealed record OverfittingStages
{
    /// <summary>A mean training loss below this is near zero: labels of the training set have a probability of 98 % and more.</summary>
    private const double NearZero = 0.02;

    private const int FewestEpochs = 5;

    private OverfittingStages() { }

    /// <summary>
    /// Stage [A] of the paper: the gap between validation and training loss grows while both fall; null if that did not happen.
    /// </summary>
    public EpochRange? GapGrows { get; private init; }

    /// <summary>Stage [B] of the paper: the validation loss rises; null if it does not.</summary>
    public EpochRange? ValidationLossRises { get; private init; }

    /// <summary>
    /// Stage [C] of the paper: the training loss is near zero (below 0.02) and stays there, which ends stage [B]; null if that did not
    /// happen.
    /// </summary>
    public EpochRange? TrainingLossNearZero { get; private init; }

    /// <summary>What the stages mean and what to try next, in one sentence.</summary>
    public required string Advice { get; init; }

    /// <inheritdoc/>
    public override string ToString() => Advice;

    /// <summary>Finds the stages.</summary>
    /// <param name="epochs">All epochs of the run, in order.</param>
    /// <param name="floodLevel">The level that the run was flooded at; 0 for plain training.</param>
    internal static OverfittingStages Of(IReadOnlyList<EpochMetrics> epochs, float floodLevel)
    {
        var count = epochs.Count;
        if (count < FewestEpochs)
            return new OverfittingStages
            {
                Advice = $"{count} epochs are too few to tell stages of overfitting: train for at least {FewestEpochs}.",
            };

        var training = Curve.Of(epochs.Select(e => (double?)e.TrainingLoss))!;
        var validation = Curve.Of(epochs.Select(e => e.ValidationLoss));
        var gap = Curve.Of(epochs.Select(e => e.GeneralizationGap));

        var dry = count;
        while (dry > 0 && training.Smooth[dry - 1] < NearZero)
            dry--;
        int? lowest = validation?.LowestBeforeRise();
        var rise = lowest + 1 ?? count;
        EpochRange? a = gap?.LowestBeforeRise(Math.Min(rise, dry)) is { } smallest ? Range(smallest + 1, Math.Min(rise, dry)) : null;
        var b = lowest is null ? null : Range(rise, Math.Max(rise + 1, dry));
        var c = Range(Math.Max(dry, b?.Last ?? 0), count);
        return new OverfittingStages
        {
            GapGrows = a,
            ValidationLossRises = b,
            TrainingLossNearZero = c,
            Advice = Advise(a, b, c, floodLevel, validation is not null, LevelToTry(training, lowest)),
        };
    }

    /// <summary>From zero-based positions, the second exclusive.</summary>
    private static EpochRange? Range(int first, int end) => first < end ? new EpochRange(first + 1, end) : null;

    /// <summary>
    /// The training loss in the epoch with the best validation loss, rounded to one digit; a lower training loss did harm. Without
    /// validation 0.05, the middle of the range that the paper tries on clean labels.
    /// </summary>
    private static double LevelToTry(Curve training, int? lowest)
    {
        var loss = lowest is { } epoch ? training.Smooth[epoch] : 0.05;
        var unit = Math.Pow(10, Math.Floor(Math.Log10(Math.Max(loss, 0.01))));
        return Math.Max(1, Math.Round(loss / unit)) * unit;
    }

    private static string Advise(EpochRange? a, EpochRange? b, EpochRange? c, float floodLevel, bool validated, double level)
    {
        // A level that was overrun is no advice for the next run.
        if (floodLevel > 0 && level <= floodLevel)
            level = floodLevel * 2;
        var attempt = string.Create(CultureInfo.InvariantCulture, $"try b = {level:0.###}");
        var despite = floodLevel > 0 ? string.Create(CultureInfo.InvariantCulture, $" in spite of the flood at {floodLevel}") : "";
        return (a, b, c) switch
        {
            (_, { } rise, { } dry) =>
                $"Stage C from epoch {dry.First}{despite}: the training loss is near zero and the validation loss rose from epoch "
                + $"{rise.First} on; {attempt}.",
            (_, { } rise, null) => $"Stage B from epoch {rise.First}{despite}: the validation loss rises; {attempt}, or stop early.",
            (_, null, { } dry) when !validated =>
                $"Stage C from epoch {dry.First}{despite}: the training loss is near zero; {attempt}, with a validation set to tell "
                + "whether it helps.",
            (_, null, { } dry) =>
                $"Stage C from epoch {dry.First}{despite}: the training loss is near zero while the validation loss does not rise; "
                + $"{attempt} if accuracy matters.",
            (null, null, null) when !validated =>
                "The training loss is not near zero; without a validation set no more can be told: set ValidationSet or "
                + "ValidationSetFraction.",
            ({ } growing, null, null) =>
                $"Stage A from epoch {growing.First}: the gap grows but the validation loss does not rise; nothing has to be done.",
            (null, null, null) => "No stage of overfitting: more epochs or a larger network may still gain.",
        };
    }
}
