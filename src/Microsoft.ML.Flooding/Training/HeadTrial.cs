using System.Globalization;

namespace Microsoft.ML.Flooding;

/// <summary>A cross-validated setting of the training of a network's head under frozen layers.</summary>
/// <param name="LearningRate">The learning rate, for features of mean 0 and mean square 1.</param>
/// <param name="Epochs">The number of epochs.</param>
/// <param name="Accuracy">
/// The share of the held-out images that are classified as labeled, in [0, 1]; weighted as in training.
/// </param>
/// <param name="LogLoss">
/// The mean negative logarithm of the probability of the labels of the held-out images, weighted as in training. If
/// <see cref="WrongLabels"/> is above 0, it is the probability that an image gets this label, right or wrong.
/// </param>
public sealed record HeadTrial(double LearningRate, int Epochs, double Accuracy, double LogLoss)
{
    /// <summary>
    /// The share s of wrong labels that training assumes (<see cref="FloodingObjective.NoisyLabels"/>), in [0, 1). It is an estimate: one
    /// of 0, 0.1, 0.2 and 0.4.
    /// </summary>
    public double WrongLabels { get; init; }

    /// <inheritdoc/>
    public override string ToString()
    {
        var wrong = WrongLabels > 0 ? FormattableString.Invariant($", {WrongLabels:P0} wrong labels") : "";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"learning rate {LearningRate}, {Epochs} epochs{wrong}: cross-validated accuracy {Accuracy:0.0000}, log-loss {LogLoss:0.0000}");
    }
}
