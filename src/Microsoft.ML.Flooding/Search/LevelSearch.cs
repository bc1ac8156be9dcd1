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
    private readonly Queue<(Task<RunResult> Run, int SharedEpochs)> _started = [];
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
        Start(0, from: null);
        AddStarted();
        var plain = _trials.All[0].History;
        if (!_stopped && plain.Epochs.Count > 0)
            TrainAll(FloodLevels.For(plain));
    }

    private void TrainAll(IReadOnlyList<float> levels)
    {
        // Other objectives differ from plain training before the level is touched.
        if (_options.Objective == FloodingObjective.Flood)
            TrainBranches([.. levels.Where(l => l > 0)]);
        else
            TrainSeparately([.. levels.Except(_trials.All.Select(t => t.FloodLevel))]);
    }

    private void TrainSeparately(IReadOnlyList<float> levels)
    {
        foreach (var level in levels)
        {
            if ((_trials.All.Count > 0 || _started.Count > 0) && IsStopped())
                break;
            Start(level, from: null);
        }
        AddStarted();
    }

    /// <summary>
    /// Trains the plain run, or repeats it if it has a trial already, and lets each level branch off where it is first touched.
    /// </summary>
    private void TrainBranches(IReadOnlyList<float> levels)
    {
        var repeats = _trials.All.Count > 0;
        if (repeats && levels.Count == 0)
            return;
        var waiting = levels.ToList();
        var options = OptionsAt(0);
        if (repeats)
            options = options.With(o => (o.CheckpointDirectory, o.MetricsCallback, o.Callbacks) = (null, null, []));
        var report = repeats ? _ => { } : _watch(0);
        var plain = _runs.Start(new RunRequest(NameOf(0), options, report)
        {
            Branching = new Branching(levels, BranchOff, EndsRun: repeats),
        });
        using var result = _runs.Wait(plain);
        _stopped |= result.History.Stopped;
        AddStarted();
        if (!repeats)
            _trials.Add(result, sharedEpochs: 0);
        if (!_stopped)
            AddUntouched(waiting);

        bool BranchOff(BranchPoint point)
        {
            foreach (var level in point.Levels)
            {
                if (IsStopped())
                    return false;
                Start(level, point);
                waiting.Remove(level);
            }
            return !_stopped;
        }
    }

    /// <summary>Starts the run at a level, from where it branches off the plain run or from the beginning.</summary>
    private void Start(float level, BranchPoint? from)
    {
        var run = _runs.Start(new RunRequest(NameOf(level), OptionsAt(level), _watch(level))
        {
            Start = from?.Start,
            Prune = _levels.Pruning ? IsHopeless : null,
        });
        _started.Enqueue((run, from is null ? 0 : from.Epoch - 1));
        AddEnded();
    }

    /// <summary>Waits for the runs that were started, and adds their trials.</summary>
    private void AddStarted()
    {
        while (_started.TryPeek(out var next))
        {
            _runs.WaitFor(next.Run);
            AddEnded();
        }
    }

    /// <summary>
    /// Adds the trials of runs that have ended, in the order in which they were started: the choice of the best depends on it.
    /// </summary>
    private void AddEnded()
    {
        while (_started.TryPeek(out var next) && next.Run.IsCompleted)
        {
            _started.Dequeue();
            // The search was stopped before the run began.
            _stopped |= next.Run.IsCanceled;
            if (next.Run.IsCanceled)
                continue;
            using var result = _runs.Wait(next.Run);
            _stopped |= result.History.Stopped;
            _trials.Add(result, next.SharedEpochs);
        }
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

    private static string Folder(string checkpointDirectory, float level) => Path.Combine(checkpointDirectory, NameOf(level));

    private static string NameOf(float level) => FormattableString.Invariant($"level-{level}");

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
