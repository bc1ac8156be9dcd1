namespace Microsoft.ML.Flooding;

/// <summary>
/// Ends training when the validation set has seen no improvement for a while, and gives the model the weights of the best epoch. It needs a
/// validation set (<see cref="FloodedImageClassificationTrainer.Options.ValidationSet"/> or
/// <see cref="FloodedImageClassificationTrainer.Options.ValidationSetFraction"/>).
/// </summary>
public sealed record EarlyStopping
{
    /// <summary>The default of <see cref="TrainingOptions.EarlyStopping"/>, which has no effect without validation data.</summary>
    internal static EarlyStopping Default { get; } = new();

    /// <summary>
    /// What is watched. Default: <see cref="ValidationMetric.AccuracyThenLogLoss"/>. Where validation labels may be wrong, the log-loss
    /// alone ends training too early: a network that becomes more certain pays for each wrong label, even while it classifies better. The
    /// accuracy alone follows the luck of a small validation set.
    /// </summary>
    public ValidationMetric Metric { get; init; } = ValidationMetric.AccuracyThenLogLoss;

    /// <summary>Epochs without an improvement before training ends, at least 1. Default: 20.</summary>
    public int Patience { get; init; } = 20;

    /// <summary>How much better than the best so far counts as an improvement, finite and at least 0. Default: 0.</summary>
    public double MinimumChange { get; init; }
}
