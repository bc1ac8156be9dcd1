using System.Globalization;

namespace Microsoft.ML.Flooding;

/// <summary>A cross-validated setting of the training of a network's head under frozen layers.</summary>
/// <param name="LearningRate">The learning rate, for features of mean 0 and mean square 1.</param>
/// <param name="Epochs">The number of epochs.</param>
/// <param name="Accuracy">The share of the held-out images that are classified correctly, in [0, 1]; weighted as in training.</param>
/// <param name="LogLoss">The mean cross-entropy of the held-out images, natural logarithm; weighted as in training.</param>
public sealed record HeadTrial(double LearningRate, int Epochs, double Accuracy, double LogLoss)
{
    // Of the standard error of the accuracy.
    private const double Tolerance = 0.25;

    /// <inheritdoc/>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"learning rate {LearningRate}, {Epochs} epochs: cross-validated accuracy {Accuracy:0.0000}, log-loss {LogLoss:0.0000}");

    /// <summary>
    /// The trial with the lowest log-loss among those whose accuracy can hardly be told from the highest. The accuracy comes first because
    /// wrong labels distort the log-loss more: it is lowest for a network that is as uncertain as the labels are.
    /// </summary>
    /// <param name="trials">At least one.</param>
    /// <param name="images">The number of held-out images.</param>
    internal static HeadTrial Best(IReadOnlyList<HeadTrial> trials, long images)
    {
        var highest = trials.Max(trial => trial.Accuracy);
        var lowest = highest - (Tolerance * Math.Sqrt(highest * (1 - highest) / images));
        return trials.Where(trial => trial.Accuracy >= lowest).MinBy(trial => trial.LogLoss)!;
    }
}
