using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Search;

/// <summary>
/// Trains at every flood level and keeps the one that the validation set prefers. A run flooded at b is the plain run, to the bit, until the first
/// mini-batch whose loss is not above b: that much is trained once, and each level branches off at the start of the epoch of its first touch.
/// </summary>
internal sealed class LevelSearch : IDisposable
{
    private readonly RunFactory _runs;
    private readonly TrainingOptions _options;
    private readonly FloodLevels _levels;
    private readonly Func<float, Action<EpochMetrics>> _watch;
    private readonly List<FloodTrial> _trials = [];
    private FloodTrial? _best;
    private bool _stopped;

    /// <param name="runs">Where runs come from.</param>
    /// <param name="options">What all runs share; each has a folder of its own in the checkpoint directory.</param>
    /// <param name="levels">What to choose from.</param>
    /// <param name="watch">By the level of a run: called after each of its epochs.</param>
    public LevelSearch(RunFactory runs, TrainingOptions options, FloodLevels levels, Func<float, Action<EpochMetrics>> watch)
    {
        _runs = runs;
        _options = options;
        _levels = levels;
        _watch = watch;
    }

    /// <summary>The weights and buffers of the best run, by name; they belong to the search.</summary>
    public IReadOnlyDictionary<string, Tensor> BestState { get; private set; } = new Dictionary<string, Tensor>();

    /// <summary>The folder of the plain run's checkpoints within the search's.</summary>
    public static string PlainFolder(string checkpointDirectory) => Folder(checkpointDirectory, 0);

    /// <summary>Runs the whole search.</summary>
    /// <returns>The history of the best run, with all trials. A run that diverged is a trial without a result.</returns>
    /// <exception cref="InvalidOperationException">Every run diverged.</exception>
    public TrainingHistory Run()
    {
        if (_levels.Values is { } levels && SharesPrefix)
            Branch(levels);
        else if (_levels.Values is { } separate)
            TrainAll(separate);
        else
            Adapt();
        if (_best is null)
            throw new InvalidOperationException($"Every run of the search over flood levels diverged. {_trials[0].Failure}");
        return _best.History with { Trials = [.. _trials.OrderBy(t => t.FloodLevel)], Stopped = _stopped };
    }

    public void Dispose()
    {
        foreach (var tensor in BestState.Values)
            tensor.Dispose();
    }

    private bool SharesPrefix => _options.Objective == FloodingObjective.Flood;

    private void Adapt()
    {
        Train(0, start: null, sharedEpochs: 0);
        var plain = _trials[0].History;
        if (_stopped || plain.Epochs.Count == 0)
            return;
        var levels = FloodLevels.For(plain);
        if (SharesPrefix)
            Branch(levels);
        else
            TrainAll(levels.Where(l => l > 0));
    }

    private void TrainAll(IEnumerable<float> levels)
    {
        foreach (var level in levels)
        {
            if (_trials.Count > 0 && IsStopped())
                return;
            Train(level, start: null, sharedEpochs: 0);
        }
    }

    /// <summary>Trains the plain run, or repeats it where its trial is there, and branches the others off.</summary>
    private void Branch(IReadOnlyList<float> levels)
    {
        var done = _trials.Count > 0;
        var waiting = levels.Where(l => l > 0).ToList();
        using var plain = _runs.Create(done ? At(0).With(o => (o.CheckpointDirectory, o.MetricsCallback, o.Callbacks) = (null, null, [])) : At(0));
        plain.Run.Resume(plain.Checkpoints);
        // Branches off the epochs before an interruption have checkpoints of their own, each being saved before the plain run's.
        foreach (var epoch in plain.Run.Epochs)
            BranchOff(epoch.Epoch, epoch.LowestBatchLoss, start: null);
        var report = done ? _ => { } : _watch(0);
        while (!plain.Run.Ended && (!done || waiting.Count > 0))
        {
            using var start = waiting.Count > 0 ? plain.Run.Capture() : null;
            var epoch = plain.Run.Epochs.Count + 1;
            var lowestLoss = plain.Run.TrainEpoch();
            var hasBranched = BranchOff(epoch, lowestLoss, start);
            // If the search stops before all branches of an epoch, it trains the epoch again when it continues.
            plain.Run.FinishEpoch(report, hasBranched ? plain.Checkpoints : null);
        }
        _stopped |= plain.Run.Stopped;
        if (!done)
            Add(plain, level: 0, pruned: false, sharedEpochs: 0);
        if (_stopped)
            return;
        // The flood was never touched: these are the plain run.
        var same = _trials.Single(t => t.FloodLevel == 0);
        _trials.AddRange(waiting.Select(
            l => same with { History = same.History with { FloodLevel = l }, SharedEpochs = same.History.Epochs.Count }));

        bool BranchOff(int epoch, double lowestLoss, TrainingSnapshot? start)
        {
            // At a loss of exactly b the flood has no gradient, which plain training has.
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

    /// <summary>Whether no further run is to begin.</summary>
    private bool IsStopped() => _stopped |= _options.StopToken.IsCancellationRequested;

    private void Train(float level, TrainingSnapshot? start, int sharedEpochs)
    {
        using var scope = NewDisposeScope();
        using var prepared = _runs.Create(At(level));
        var run = prepared.Run;
        if (start is not null)
            run.Restore(start);
        run.Train(_watch(level), prepared.Checkpoints, () => _levels.Pruning && IsHopeless(run.Epochs));
        _stopped |= run.Stopped;
        Add(prepared, level, pruned: !run.Ended, sharedEpochs);
    }

    private void Add(PreparedRun prepared, float level, bool pruned, int sharedEpochs)
    {
        var run = prepared.Run;
        var history = run.Divergence is null
            ? run.SelectWeights()
            : new TrainingHistory(run.Epochs, selectedEpoch: 0, averagedWeights: false);
        var trial = new FloodTrial
        {
            History = history with { FloodLevel = level, Settings = prepared.Identity },
            Pruned = pruned,
            SharedEpochs = sharedEpochs,
            Failure = run.Divergence?.Message,
        };
        _trials.Add(trial);
        if (trial.Failure is not null || (_best is not null && (Cost(trial.History), level).CompareTo((Cost(_best.History), _best.FloodLevel)) >= 0))
            return;
        Dispose();
        _best = trial;
        BestState = run.State().ToDictionary(s => s.Key, s => s.Value.detach().clone().DetachFromDisposeScope());
    }

    private TrainingOptions At(float level) => _options.With(o =>
    {
        o.FloodLevel = level;
        o.WeightAveraging ??= WeightAveraging.Exponential;
        o.CheckpointDirectory = o.CheckpointDirectory is { } folder ? Folder(folder, level) : null;
    });

    private static string Folder(string checkpointDirectory, float level) =>
        Path.Combine(checkpointDirectory, FormattableString.Invariant($"level-{level}"));

    /// <summary>What the search compares: the lower cost wins.</summary>
    private double Cost(TrainingHistory history) =>
        _levels.Metric.CostOf(new Evaluation(history.ValidationLoss!.Value, history.ValidationAccuracy!.Value, history.ValidationMetric));

    private double Cost(EpochMetrics epoch)
    {
        var raw = _levels.Metric.CostOf(new Evaluation(epoch.ValidationLoss!.Value, epoch.ValidationAccuracy!.Value, epoch.ValidationMetric));
        return epoch is { AveragedValidationLoss: { } loss, AveragedValidationAccuracy: { } accuracy }
            ? Math.Min(raw, _levels.Metric.CostOf(new Evaluation(loss, accuracy, epoch.AveragedValidationMetric)))
            : raw;
    }

    private bool IsHopeless(IReadOnlyList<EpochMetrics> epochs)
    {
        if (epochs.Count < _options.Epochs - _options.Epochs / 2)
            return false;
        var others = _trials.Where(t => !t.Pruned && t.Failure is null)
            .Select(t => t.History.Epochs.Take(epochs.Count).Min(Cost)).Order().ToArray();
        return others.Length >= 2 && epochs.Min(Cost) > others[others.Length / 2];
    }
}
