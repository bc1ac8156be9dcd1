using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Search;

/// <summary>The runs of a search, and the weights of the best one.</summary>
/// <param name="metric">What is compared. Of two equal runs, the one with the smaller level wins, then the first.</param>
/// <param name="validated">The number of validation images.</param>
internal sealed class Trials(ValidationMetric metric, long validated) : IDisposable
{
    private Choice _choice = Choice.None;
    private readonly List<FloodTrial> _all = [];

    /// <summary>The trials in the order in which they were added.</summary>
    public IReadOnlyList<FloodTrial> All => _all;

    /// <summary>The best trial; null if every run diverged.</summary>
    public FloodTrial? Best { get; private set; }

    /// <summary>The weights and buffers of the best run, by name. They belong to this object.</summary>
    public IReadOnlyDictionary<string, Tensor> BestState { get; private set; } = new Dictionary<string, Tensor>();

    /// <summary>Adds the trial of a run, and keeps its weights if it is the best so far.</summary>
    public void Add(RunResult result, int sharedEpochs)
    {
        var trial = new FloodTrial
        {
            History = result.History,
            Pruned = result.EndedEarly,
            SharedEpochs = sharedEpochs,
            Failure = result.Failure,
        };
        _all.Add(trial);
        if (trial.Failure is not null || !IsChosen(trial.History))
            return;
        Dispose();
        Best = trial;
        BestState = result.State.ToDictionary(s => s.Key, s => s.Value.detach().clone().DetachFromDisposeScope());
    }

    /// <summary>Adds a trial whose run is the same as that of another trial.</summary>
    public void Add(FloodTrial trial) => _all.Add(trial);

    /// <summary>The history of the best run, with all trials by ascending level.</summary>
    /// <exception cref="InvalidOperationException">Every run diverged.</exception>
    /// <exception cref="OperationCanceledException">The search was stopped before a run began.</exception>
    public TrainingHistory Finish(bool stopped) => Best is not null
        ? Best.History with { Trials = [.. _all.OrderBy(t => t.FloodLevel)], Stopped = stopped }
        : _all is [var first, ..]
        ? throw new InvalidOperationException($"Every run of the search diverged. {first.Failure}")
        : throw new OperationCanceledException("The search was stopped before a run began.");

    public void Dispose()
    {
        foreach (var tensor in BestState.Values)
            tensor.Dispose();
    }

    private bool IsChosen(TrainingHistory history)
    {
        var cost = metric.CostOf(
            new Evaluation(history.ValidationLoss!.Value, history.ValidationAccuracy!.Value, history.ValidationMetric, validated));
        var isEqual = cost.CompareTo(_choice.Chosen) == 0;
        (_choice, var isChosen) = _choice.Offer(cost);
        return isChosen || Best is null || (isEqual && history.FloodLevel < Best.History.FloodLevel);
    }
}
