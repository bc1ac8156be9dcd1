using System.Globalization;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Flooding.Training;

/// <summary>Tells ML.NET's log and progress channel of each epoch.</summary>
internal sealed class ProgressReporter
{
    private readonly IChannel _channel;
    private readonly IProgressChannel _progress;
    private readonly int _epochs;
    private int _done;

    /// <param name="channel">The log.</param>
    /// <param name="progress">Where the share done is shown.</param>
    /// <param name="epochs">Of one run.</param>
    /// <param name="total">Epochs of all runs together, at most.</param>
    public ProgressReporter(IChannel channel, IProgressChannel progress, int epochs, double total)
    {
        _channel = channel;
        _progress = progress;
        _epochs = epochs;
        progress.SetHeader(
            new ProgressHeader(["Training loss", "Flooded share", "Validation loss", "Validation accuracy", "Learning rate", "Images/s"], ["epochs"]),
            entry => entry.SetProgress(0, _done, total));
    }

    public void Report(EpochMetrics metrics)
    {
        _done++;
        _progress.Checkpoint(
            metrics.TrainingLoss, metrics.FloodedShare, metrics.ValidationLoss, metrics.ValidationAccuracy, metrics.LearningRate,
            metrics.ImagesPerSecond, metrics.Epoch);
        var validation = metrics.ValidationLoss is { } loss
            ? string.Create(CultureInfo.InvariantCulture, $"; validation loss {loss:0.0000}, accuracy {metrics.ValidationAccuracy:0.0000}")
            : "";
        var averaged = metrics.AveragedValidationLoss is { } averagedLoss
            ? string.Create(CultureInfo.InvariantCulture, $"; averaged {averagedLoss:0.0000}, {metrics.AveragedValidationAccuracy:0.0000}")
            : "";
        _channel.Info(MessageSensitivity.None, string.Create(CultureInfo.InvariantCulture,
            $"Epoch {metrics.Epoch} of {_epochs}: training loss {metrics.TrainingLoss:0.0000}, flooded {metrics.FloodedShare:P0}{validation}{averaged}; learning rate {metrics.LearningRate:g3}, {metrics.ImagesPerSecond:n0} images/s."));
    }
}
