using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>A run to train that does not depend on the other runs of a Fit.</summary>
/// <param name="Name">What distinguishes the run from the others, for the user.</param>
/// <param name="Options">Valid options. The checkpoint directory is the run's own.</param>
/// <param name="Report">Called after each epoch.</param>
internal sealed record RunRequest(string Name, TrainingOptions Options, Action<EpochMetrics> Report)
{
    /// <summary>
    /// Where the run starts if it has no checkpoint; null: from the beginning. It stays the caller's, which may dispose of it once the run
    /// was started.
    /// </summary>
    public TrainingSnapshot? Start { get; init; }

    /// <summary>Called before each epoch with the epochs so far: whether the run ends there. Null: it never does.</summary>
    public Func<IReadOnlyList<EpochMetrics>, bool>? Prune { get; init; }

    /// <summary>The runs that branch off this one; null: none.</summary>
    public Branching? Branching { get; init; }
}

/// <summary>The runs that branch off a plain run, each at the start of the epoch in which the plain run first touches its level.</summary>
/// <param name="Levels">The flood levels, each above 0.</param>
/// <param name="BranchOff">
/// Called for each epoch that touches levels, before the epoch is saved. Returns whether all of its runs were started; if not, the epoch is
/// trained again when the run continues from its checkpoint.
/// </param>
/// <param name="EndsRun">Whether the run ends when all levels have branched off.</param>
internal sealed record Branching(IReadOnlyList<float> Levels, Func<BranchPoint, bool> BranchOff, bool EndsRun);

/// <summary>Where runs branch off a plain run.</summary>
/// <param name="Levels">The levels that the epoch touches first.</param>
/// <param name="Epoch">The number of the epoch, from 1.</param>
/// <param name="Start">
/// The state of the plain run before the epoch; null if the branches have checkpoints of their own. It stays the plain run's.
/// </param>
internal sealed record BranchPoint(IReadOnlyList<float> Levels, int Epoch, TrainingSnapshot? Start);

/// <summary>What a run has become.</summary>
/// <param name="history">
/// The history with its <see cref="TrainingHistory.Settings"/>; if the run diverged, without a selected epoch.
/// </param>
/// <param name="failure">Why the run has no weights to choose from: it diverged. Null if it did not.</param>
/// <param name="endedEarly">Whether the request ended the run before its last epoch.</param>
/// <param name="state">The selected weights and buffers by name, the weights in float32. They belong to the result.</param>
/// <param name="owner">Disposed of together with the result.</param>
internal sealed class RunResult(
    TrainingHistory history, string? failure, bool endedEarly, IReadOnlyDictionary<string, Tensor> state, IDisposable owner) : IDisposable
{
    public TrainingHistory History { get; } = history;

    public string? Failure { get; } = failure;

    public bool EndedEarly { get; } = endedEarly;

    public IReadOnlyDictionary<string, Tensor> State { get; } = state;

    /// <summary>The history of a run that did not diverge.</summary>
    /// <exception cref="InvalidOperationException">The run diverged.</exception>
    public TrainingHistory RequireHistory() => Failure is null ? History : throw new InvalidOperationException(Failure);

    public void Dispose() => owner.Dispose();
}

/// <summary>Trains runs: in this process, or on other machines.</summary>
internal interface IRunExecutor
{
    /// <summary>Starts a run. The functions of the request are called by the thread that calls this method or <see cref="Wait"/>.</summary>
    Task<RunResult> Start(RunFactory runs, RunRequest request);

    /// <summary>Waits for a run. Other runs go on meanwhile.</summary>
    void Wait(Task run);
}

/// <summary>Trains each run in this process, before it returns from its start.</summary>
internal sealed class InProcessExecutor : IRunExecutor
{
    public static InProcessExecutor Instance { get; } = new();

    public Task<RunResult> Start(RunFactory runs, RunRequest request) => Task.FromResult(Train(runs, request));

    public void Wait(Task run)
    {
    }

    /// <summary>Trains a run to its end. Continues from its newest checkpoint.</summary>
    public static RunResult Train(RunFactory runs, RunRequest request)
    {
        var prepared = runs.Create(request.Options);
        try
        {
            return Train(prepared, request);
        }
        catch
        {
            prepared.Dispose();
            throw;
        }
    }

    private static RunResult Train(PreparedRun prepared, RunRequest request)
    {
        var (run, branching) = (prepared.Run, request.Branching);
        var waiting = branching?.Levels.ToList() ?? [];
        if (request.Start is { } start)
            run.Restore(start);
        run.Resume(prepared.Checkpoints);
        // The branches of these epochs have checkpoints of their own: each was saved before this run's.
        foreach (var epoch in run.Epochs)
            BranchOff(epoch.Epoch, epoch.LowestBatchLoss, before: null);
        while (!run.Ended && request.Prune?.Invoke(run.Epochs) != true && !(branching is { EndsRun: true } && waiting.Count == 0))
        {
            using var before = waiting.Count > 0 ? run.Capture() : null;
            var epoch = run.Epochs.Count + 1;
            var lowestLoss = run.TrainEpoch();
            var allBranched = BranchOff(epoch, lowestLoss, before);
            run.FinishEpoch(request.Report, allBranched ? prepared.Checkpoints : null);
        }
        var endedEarly = !run.Ended;
        var history = run.Divergence is null
            ? run.SelectWeights()
            : new TrainingHistory(run.Epochs, selectedEpoch: 0, averagedWeights: false) { Stopped = run.Stopped };
        history = history with { FloodLevel = request.Options.FloodLevel, Settings = prepared.Identity };
        return new RunResult(history, run.Divergence?.Message, endedEarly, run.State(), prepared);

        bool BranchOff(int epoch, double lowestLoss, TrainingSnapshot? before)
        {
            // At a loss of exactly b, plain training has a gradient and the flood has none.
            float[] touched = [.. waiting.Where(level => lowestLoss <= level)];
            waiting.RemoveAll(touched.Contains);
            return touched.Length == 0 || branching!.BranchOff(new BranchPoint(touched, epoch, before));
        }
    }
}
