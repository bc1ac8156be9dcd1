using Microsoft.ML.Runtime;

namespace Microsoft.ML.Flooding.Training;

/// <summary>Reports each epoch to ML.NET's log and progress channel.</summary>
internal sealed class ProgressReporter
{
    private readonly IChannel _channel;
    private readonly IProgressChannel _progress;
    private int _epochs;
    private double _total;
    private int _done;

    /// <param name="channel">The log.</param>
    /// <param name="progress">The progress channel.</param>
    /// <param name="epochs">The epochs of one run.</param>
    /// <param name="total">An upper bound on the epochs of all runs together.</param>
    public ProgressReporter(IChannel channel, IProgressChannel progress, int epochs, double total)
    {
        _channel = channel;
        _progress = progress;
        _epochs = epochs;
        _total = total;
        progress.SetHeader(
            new ProgressHeader(
                ["Training loss", "Flooded share", "Validation loss", "Validation accuracy", "Learning rate", "Images/s"], ["epochs"]),
            entry => entry.SetProgress(0, _done, _total));
    }

    /// <summary>Sets the number of epochs of the next runs, and of runs, when they are known.</summary>
    public void Expect(int epochs, int runs = 1) => (_epochs, _total) = (epochs, _done + ((double)epochs * runs));

    /// <summary>Reports an epoch of the only run.</summary>
    public void Report(EpochMetrics metrics) => Report("", metrics);

    /// <summary>Gives what reports the epochs of one of several runs.</summary>
    /// <param name="run">The name of the run in the log.</param>
    public Action<EpochMetrics> ReportAs(string run) => metrics => Report(run + ": ", metrics);

    private void Report(string run, EpochMetrics metrics)
    {
        _done++;
        _progress.Checkpoint(
            metrics.TrainingLoss, metrics.FloodedShare, metrics.ValidationLoss, metrics.ValidationAccuracy, metrics.LearningRate,
            metrics.ImagesPerSecond, metrics.Epoch);
        _channel.Info(MessageSensitivity.None, $"{run}Epoch {metrics.Epoch} of {_epochs}: {metrics.Describe()}");
    }
}
