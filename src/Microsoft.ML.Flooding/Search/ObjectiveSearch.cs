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
        for (var number = 1; number <= options.Objective.Candidates.Count && !stopped; number++)
        {
            using var scope = NewDisposeScope();
            using var prepared = runs.Create(OptionsOf(number));
            prepared.Run.Train(watch(number), prepared.Checkpoints);
            stopped = prepared.Run.Stopped || options.StopToken.IsCancellationRequested;
            _trials.Add(prepared, options.FloodLevel, pruned: false, sharedEpochs: 0);
        }
        return _trials.Finish(stopped);
    }

    public void Dispose() => _trials.Dispose();

    private TrainingOptions OptionsOf(int number) => options.With(o =>
    {
        o.Objective = options.Objective.Candidates[number - 1];
        o.CheckpointDirectory = o.CheckpointDirectory is { } folder ? Folder(folder, number) : null;
    });

    private static string Folder(string checkpointDirectory, int number) => Path.Combine(checkpointDirectory, $"candidate-{number}");
}
