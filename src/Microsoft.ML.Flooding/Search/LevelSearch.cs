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
    /// <returns>The history of the best run, with all trials.</returns>
    public TrainingHistory Run()
    {
        if (_levels.Values is { } levels && SharesPrefix)
            Branch(levels);
        else if (_levels.Values is { } separate)
            foreach (var level in separate)
                Train(level, start: null, sharedEpochs: 0);
        else
            Adapt();
        return _best!.History with { Trials = [.. _trials.OrderBy(t => t.FloodLevel)] };
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
        var levels = FloodLevels.For(_trials[0].History);
        if (SharesPrefix)
            Branch(levels);
        else
            foreach (var level in levels.Where(l => l > 0))
                Train(level, start: null, sharedEpochs: 0);
    }

    /// <summary>Trains the plain run, or repeats it where its trial is there, and branches the others off.</summary>
    private void Branch(IReadOnlyList<float> levels)
    {
        var done = _trials.Count > 0;
        var waiting = levels.Where(l => l > 0).ToList();
        using var plain = _runs.Create(done ? At(0).With(o => (o.CheckpointDirectory, o.MetricsCallback) = (null, null)) : At(0));
        plain.Run.Resume(plain.Checkpoints);
        // Branches off the epochs before an interruption have checkpoints of their own, each being saved before the plain run's.
        foreach (var epoch in plain.Run.Epochs)
            BranchOff(epoch, start: null);
        var report = done ? _ => { } : _watch(0);
        while (!plain.Run.Finished && (!done || waiting.Count > 0))
        {
            using var start = waiting.Count > 0 ? plain.Run.Capture() : null;
            plain.Run.TrainEpoch();
            BranchOff(plain.Run.Epochs[^1], start);
            plain.Run.FinishEpoch(report, plain.Checkpoints);
        }
        if (!done)
            Add(plain, plain.Run.SelectWeights(), level: 0, pruned: false, sharedEpochs: 0);
        // The flood was never touched: these are the plain run.
        var history = _trials.Single(t => t.FloodLevel == 0).History;
        _trials.AddRange(waiting.Select(l => new FloodTrial { History = history with { FloodLevel = l }, SharedEpochs = history.Epochs.Count }));

        void BranchOff(EpochMetrics epoch, RunState? start)
        {
            // At a loss of exactly b the flood has no gradient, which plain training has.
            foreach (var level in waiting.Where(l => epoch.LowestBatchLoss <= l).ToArray())
            {
                Train(level, start, epoch.Epoch - 1);
                waiting.Remove(level);
            }
        }
    }

    private void Train(float level, RunState? start, int sharedEpochs)
    {
        using var scope = NewDisposeScope();
        using var prepared = _runs.Create(At(level));
        if (start is not null)
            prepared.Run.Restore(start);
        var history = prepared.Run.Fit(_watch(level), prepared.Checkpoints, () => _levels.Pruning && IsHopeless(prepared.Run.Epochs));
        Add(prepared, history, level, history.Epochs.Count < _options.Epochs && _levels.Pruning && IsHopeless(history.Epochs), sharedEpochs);
    }

    private void Add(PreparedRun prepared, TrainingHistory history, float level, bool pruned, int sharedEpochs)
    {
        var trial = new FloodTrial
        {
            History = history with { FloodLevel = level, Settings = prepared.Identity },
            Pruned = pruned,
            SharedEpochs = sharedEpochs,
        };
        _trials.Add(trial);
        if (_best is not null && (Figure(trial), level).CompareTo((Figure(_best), _best.FloodLevel)) >= 0)
            return;
        Dispose();
        _best = trial;
        BestState = prepared.Run.State().ToDictionary(s => s.Key, s => s.Value.detach().clone().DetachFromDisposeScope());
    }

    private TrainingOptions At(float level) => _options.With(o =>
    {
        o.FloodLevel = level;
        o.WeightAveraging ??= WeightAveraging.Exponential;
        o.CheckpointDirectory = o.CheckpointDirectory is { } folder ? Folder(folder, level) : null;
    });

    private static string Folder(string checkpointDirectory, float level) =>
        Path.Combine(checkpointDirectory, FormattableString.Invariant($"level-{level}"));

    private double Figure(FloodTrial trial) =>
        _levels.Metric == FloodLevelMetric.LogLoss ? trial.ValidationLoss!.Value : -trial.ValidationAccuracy!.Value;

    private double Figure(EpochMetrics epoch) => _levels.Metric == FloodLevelMetric.LogLoss
        ? Math.Min(epoch.ValidationLoss!.Value, epoch.AveragedValidationLoss ?? double.PositiveInfinity)
        : -Math.Max(epoch.ValidationAccuracy!.Value, epoch.AveragedValidationAccuracy ?? 0);

    private bool IsHopeless(IReadOnlyList<EpochMetrics> epochs)
    {
        if (epochs.Count < _options.Epochs - _options.Epochs / 2)
            return false;
        var others = _trials.Where(t => !t.Pruned).Select(t => t.History.Epochs.Take(epochs.Count).Min(Figure)).Order().ToArray();
        return others.Length >= 2 && epochs.Min(Figure) > others[others.Length / 2];
    }
}
