using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Reports;
using Microsoft.ML.Flooding.Search;
using Microsoft.ML.Flooding.Training;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Flooding;

/// <content>The runs of a Fit: one, a search, or fine-tuning.</content>
public sealed partial class FloodedImageClassificationTrainer
{
    private TrainingHistory SearchLevel(
        FloodLevels levels, Network network, RunFactory runs, IChannel channel, ProgressReporter reporter)
    {
        using var search = new LevelSearch(
            runs, _options, levels, level => Watch(reporter.Report, FormattableString.Invariant($"level-{level}")));
        var history = search.Run();
        channel.Info(
            MessageSensitivity.None,
            FormattableString.Invariant($"Chose flood level {history.FloodLevel} of {history.Trials.Count}."));
        foreach (var failed in history.Trials.Where(t => t.Failure is not null))
            channel.Warning(
                MessageSensitivity.None, FormattableString.Invariant($"Flood level {failed.FloodLevel}: {failed.Failure}"));
        network.LoadState(search.BestState);
        return history;
    }

    private TrainingHistory SearchObjective(Network network, RunFactory runs, IChannel channel, ProgressReporter reporter)
    {
        var candidates = _options.Objective.Candidates;
        using var search = new ObjectiveSearch(
            runs, _options, (_options.EarlyStopping ?? new EarlyStopping()).Metric,
            number => Watch(reporter.ReportAs($"{candidates[number - 1]}"), $"candidate-{number}"));
        var history = search.Run();
        channel.Info(MessageSensitivity.None, $"Chose {history.Settings[nameof(_options.Objective)]} of {candidates.Count}.");
        foreach (var failed in history.Trials.Where(t => t.Failure is not null))
            channel.Warning(MessageSensitivity.None, $"{failed.History.Settings[nameof(_options.Objective)]}: {failed.Failure}");
        network.LoadState(search.BestState);
        return history;
    }

    private TrainingHistory Train(Network network, RunFactory runs, ProgressReporter reporter)
    {
        using var result = runs.Wait(runs.Start(new RunRequest("training", _options, Watch(reporter.Report, run: null))));
        var history = result.RequireHistory();
        network.LoadState(result.State);
        return history;
    }

    /// <summary>Trains what <see cref="FineTuning"/> chooses.</summary>
    private TrainingHistory FineTune(Network network, RunFactory runs, IChannel channel, ProgressReporter reporter)
    {
        channel.Info(MessageSensitivity.None, "Computing the features of the images. The last layer is trained on them.");
        using var search = new HeadSearch(runs, _options);
        var trial = search.Choose(tried => channel.Info(MessageSensitivity.None, $"Tried {tried}."));
        channel.Info(
            MessageSensitivity.None,
            trial is null ? "There are too few images to cross-validate the last layer." : $"Chose {trial}. Training on all images.");
        var history = search.Train(trial, network, epochs =>
        {
            reporter.Expect(epochs);
            return Watch(reporter.Report, run: null);
        });
        if (_options.FineTuning != FineTuning.AllLayers || history.Stopped)
            return history;
        channel.Info(
            MessageSensitivity.None,
            FormattableString.Invariant($"Training all layers for {AllLayers.Epochs} epochs. It takes about ")
            + FormattableString.Invariant($"{AllLayers.Estimate(search.FeatureTime).TotalMinutes:0.0} minutes. ")
            + $"If {nameof(_options.StopToken)} is canceled, the best network so far stays.");
        reporter.Expect(AllLayers.Epochs);
        var whole = new AllLayers(runs, _options, trial?.WrongLabels ?? 0).Train(
            network, Watch(reporter.ReportAs("All layers"), "all-layers"), text => channel.Info(MessageSensitivity.None, text));
        return (whole ?? history) with { FloodLevel = _options.FloodLevel, HeadTrial = trial };
    }

    /// <param name="report">Reports an epoch.</param>
    /// <param name="run">The folder of the run's TensorBoard log; null if there is one run only.</param>
    private Action<EpochMetrics> Watch(Action<EpochMetrics> report, string? run)
    {
        if (_options.TensorBoardDirectory is not { } folder)
            return report;
        var log = new TensorBoardLog(run is null ? folder : Path.Combine(folder, run));
        return metrics =>
        {
            report(metrics);
            log.Write(metrics);
        };
    }
}
