using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Search;

/// <summary>Trains with each candidate of an objective and keeps the run with the best validation figure.</summary>
/// <param name="runs">Creates the runs.</param>
/// <param name="options">The options of all runs. Each run has its own folder in the checkpoint directory.</param>
/// <param name="metric">What is compared.</param>
/// <param name="watch">Gives what is called after each epoch of a run, by its number from 1.</param>
internal sealed class ObjectiveSearch(
    RunFactory runs, TrainingOptions options, ValidationMetric metric, Func<int, Action<EpochMetrics>> watch) : IDisposable
{
    private readonly Trials _trials = new(metric, runs.Data.ValidationRows?.shape[0] ?? 0);

    /// <inheritdoc cref="Trials.BestState"/>
    public IReadOnlyDictionary<string, Tensor> BestState => _trials.BestState;

    /// <summary>The folder of the first run in a checkpoint directory.</summary>
    public static string FirstFolder(string checkpointDirectory) => Folder(checkpointDirectory, 1);

    /// <summary>Runs the whole search.</summary>
    /// <returns>The history of the best run, with all trials. A run that diverged is a trial without a result.</returns>
    /// <exception cref="InvalidOperationException">Every run diverged.</exception>
    public TrainingHistory Run()
    {
        var stopped = false;
        var started = new Queue<Task<RunResult>>();
        for (var number = 1; number <= options.Objective.Candidates.Count && !stopped; number++)
        {
            using var scope = NewDisposeScope();
            started.Enqueue(runs.Start(new RunRequest($"{options.Objective.Candidates[number - 1]}", OptionsOf(number), watch(number))));
            while (started.TryPeek(out var run) && run.IsCompleted)
                Add(started.Dequeue());
            stopped |= options.StopToken.IsCancellationRequested;
        }
        while (started.TryDequeue(out var run))
            Add(run);
        return _trials.Finish(stopped);

        void Add(Task<RunResult> run)
        {
            runs.WaitFor(run);
            // The search was stopped before the run began.
            stopped |= run.IsCanceled;
            if (run.IsCanceled)
                return;
            using var result = runs.Wait(run);
            stopped |= result.History.Stopped;
            _trials.Add(result, sharedEpochs: 0);
        }
    }

    public void Dispose() => _trials.Dispose();

    private TrainingOptions OptionsOf(int number) => options.With(o =>
    {
        o.Objective = options.Objective.Candidates[number - 1];
        o.CheckpointDirectory = o.CheckpointDirectory is { } folder ? Folder(folder, number) : null;
    });

    private static string Folder(string checkpointDirectory, int number) => Path.Combine(checkpointDirectory, $"candidate-{number}");
}
