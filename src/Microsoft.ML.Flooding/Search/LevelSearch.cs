using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Search;

/// <summary>
/// Trains at every flood level and keeps the run with the best validation figure. Until the first mini-batch whose loss is not above b, a
/// run flooded at b is the plain run, bit for bit. That part is trained once: each level branches off at the start of the epoch in which
/// the plain run first touches it.
/// </summary>
internal sealed class LevelSearch : IDisposable
{
    private readonly RunFactory _runs;
    private readonly TrainingOptions _options;
    private readonly FloodLevels _levels;
    private readonly Func<float, Action<EpochMetrics>> _watch;
    private readonly Trials _trials;
    private bool _stopped;

    /// <param name="runs">Creates the runs.</param>
    /// <param name="options">The options of all runs. Each run has its own folder in the checkpoint directory.</param>
    /// <param name="levels">The levels to choose from.</param>
    /// <param name="watch">Gives what is called after each epoch of the run at a level.</param>
    public LevelSearch(RunFactory runs, TrainingOptions options, FloodLevels levels, Func<float, Action<EpochMetrics>> watch)
    {
        _runs = runs;
        _options = options;
        _levels = levels;
        _trials = new Trials(levels.Metric, runs.Data.ValidationRows?.shape[0] ?? 0);
        _watch = watch;
    }

    /// <inheritdoc cref="Trials.BestState"/>
    public IReadOnlyDictionary<string, Tensor> BestState => _trials.BestState;

    /// <summary>The folder of the plain run in a checkpoint directory.</summary>
    public static string PlainFolder(string checkpointDirectory) => Folder(checkpointDirectory, 0);

    /// <summary>Runs the whole search.</summary>
    /// <returns>The history of the best run, with all trials. A run that diverged is a trial without a result.</returns>
    /// <exception cref="InvalidOperationException">Every run diverged.</exception>
    public TrainingHistory Run()
    {
        if (_levels.Values is { } levels)
            TrainAll(levels);
        else
            Adapt();
        return _trials.Finish(_stopped);
    }

    public void Dispose() => _trials.Dispose();

    /// <summary>Trains the plain run, then the levels that suit it.</summary>
    private void Adapt()
    {
        Train(0, start: null, sharedEpochs: 0);
        var plain = _trials.All[0].History;
        if (!_stopped && plain.Epochs.Count > 0)
            TrainAll(FloodLevels.For(plain));
    }

    private void TrainAll(IReadOnlyList<float> levels)
    {
        // Other objectives differ from plain training before the level is touched.
        if (_options.Objective == FloodingObjective.Flood)
            TrainBranches(levels);
        else
            TrainSeparately(levels);
    }

    private void TrainSeparately(IReadOnlyList<float> levels)
    {
        foreach (var level in levels.Except(_trials.All.Select(t => t.FloodLevel)).ToArray())
        {
            if (_trials.All.Count > 0 && IsStopped())
                return;
            Train(level, start: null, sharedEpochs: 0);
        }
    }

    /// <summary>
    /// Trains the plain run, or repeats it if it has a trial already, and lets each level branch off where it is first touched.
    /// </summary>
    private void TrainBranches(IReadOnlyList<float> levels)
    {
        var repeats = _trials.All.Count > 0;
        var waiting = levels.Where(l => l > 0).ToList();
        using var plain = _runs.Create(
            repeats ? OptionsAt(0).With(o => (o.CheckpointDirectory, o.MetricsCallback, o.Callbacks) = (null, null, [])) : OptionsAt(0));
        var run = plain.Run;
        var report = repeats ? _ => { } : _watch(0);

        run.Resume(plain.Checkpoints);
        // The branches of these epochs have checkpoints of their own: each was saved before the plain run's.
        foreach (var epoch in run.Epochs)
            BranchOff(epoch.Epoch, epoch.LowestBatchLoss, start: null);
        while (!run.Ended && (!repeats || waiting.Count > 0))
        {
            using var start = waiting.Count > 0 ? run.Capture() : null;
            var epoch = run.Epochs.Count + 1;
            var lowestLoss = run.TrainEpoch();
            var allBranched = BranchOff(epoch, lowestLoss, start);
            // If the search stops before all branches of an epoch, it trains the epoch again when it continues.
            run.FinishEpoch(report, allBranched ? plain.Checkpoints : null);
        }
        _stopped |= run.Stopped;
        if (!repeats)
            _trials.Add(plain, level: 0, pruned: false, sharedEpochs: 0);
        if (!_stopped)
            AddUntouched(waiting);

        bool BranchOff(int epoch, double lowestLoss, TrainingSnapshot? start)
        {
            // At a loss of exactly b, plain training has a gradient and the flood has none.
            foreach (var level in waiting.Where(l => lowestLoss <= l).ToArray())
            {
                if (IsStopped())
                    return false;
                Train(level, start, epoch - 1);
                waiting.Remove(level);
            }
            return !_stopped;
        }
    }

    /// <summary>Trains a run at a level from a snapshot of the plain run, or from the beginning.</summary>
    private void Train(float level, TrainingSnapshot? start, int sharedEpochs)
    {
        using var scope = NewDisposeScope();
        using var prepared = _runs.Create(OptionsAt(level));
        var run = prepared.Run;
        if (start is not null)
            run.Restore(start);
        run.Train(_watch(level), prepared.Checkpoints, prune: () => _levels.Pruning && IsHopeless(run.Epochs));
        _stopped |= run.Stopped;
        _trials.Add(prepared, level, pruned: !run.Ended, sharedEpochs);
    }

    /// <summary>Adds trials for levels that the plain run never touches: their runs are the plain run.</summary>
    private void AddUntouched(IEnumerable<float> levels)
    {
        var plain = _trials.All.Single(t => t.FloodLevel == 0);
        foreach (var level in levels)
            _trials.Add(plain with { History = plain.History with { FloodLevel = level }, SharedEpochs = plain.History.Epochs.Count });
    }

    /// <summary>Whether no further run begins.</summary>
    private bool IsStopped() => _stopped |= _options.StopToken.IsCancellationRequested;

    private TrainingOptions OptionsAt(float level) => _options.With(o =>
    {
        o.FloodLevel = level;
        o.WeightAveraging ??= WeightAveraging.Exponential;
        o.CheckpointDirectory = o.CheckpointDirectory is { } folder ? Folder(folder, level) : null;
    });

    private static string Folder(string checkpointDirectory, float level) =>
        Path.Combine(checkpointDirectory, FormattableString.Invariant($"level-{level}"));

    /// <summary>What pruning compares: the lower cost wins.</summary>
    private Cost CostOf(EpochMetrics epoch)
    {
        var raw = _levels.Metric.CostOf(
            new Evaluation(epoch.ValidationLoss!.Value, epoch.ValidationAccuracy!.Value, epoch.ValidationMetric));
        return epoch is { AveragedValidationLoss: { } loss, AveragedValidationAccuracy: { } accuracy }
            && _levels.Metric.CostOf(new Evaluation(loss, accuracy, epoch.AveragedValidationMetric)) is var averaged && averaged < raw
            ? averaged
            : raw;
    }

    private bool IsHopeless(IReadOnlyList<EpochMetrics> epochs)
    {
        if (epochs.Count < _options.EffectiveEpochs - _options.EffectiveEpochs / 2)
            return false;
        var others = _trials.All.Where(t => !t.Pruned && t.Failure is null)
            .Select(t => t.History.Epochs.Take(epochs.Count).Min(CostOf)).Order().ToArray();
        return others.Length >= 2 && epochs.Min(CostOf) > others[others.Length / 2];
    }
}
