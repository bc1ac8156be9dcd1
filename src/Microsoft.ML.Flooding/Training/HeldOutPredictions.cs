using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Objectives;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>
/// The class probabilities of training images by networks that were not trained on them (cross-fitting), or by networks that were trained
/// on all of them. They are computed on first use and kept, so runs that need the same predictions share them. With checkpoints, each
/// network continues from its own.
/// </summary>
/// <param name="runs">Creates the networks' runs.</param>
/// <param name="options">
/// The options of the run that needs the predictions. The networks use them too, but without a flood, with averaged weights, and with the
/// best of all epochs by validation. Without validation data, each network sets a part of its own images aside for that choice.
/// </param>
/// <param name="watch">Gives what is called after each epoch of a network, by the network's name.</param>
/// <param name="log">Called with a description of the predictions.</param>
internal sealed class HeldOutPredictions(
    RunFactory runs, TrainingOptions options, Func<string, Action<EpochMetrics>> watch, Action<string> log) : IDisposable
{
    private const double SetAside = 0.1;

    private readonly Dictionary<Auxiliaries, Tensor> _probabilities = [];

    /// <summary>The probabilities by a number of networks.</summary>
    /// <param name="auxiliaries">
    /// The networks. If they predict held-out images, each is a fold of the training rows, stratified by class; images with the same
    /// sampling key are in one fold. A network is trained for each fold, on the other folds. There are at most as many as groups of rows.
    /// </param>
    /// <returns>
    /// float32 [rows of the set, K] on the CPU; 0 for rows that are not trained on. The tensor stays this object's.
    /// </returns>
    /// <exception cref="InvalidOperationException">The rows cannot be divided, or a network diverged.</exception>
    public Tensor Probabilities(Auxiliaries auxiliaries)
    {
        if (!_probabilities.TryGetValue(auxiliaries, out var probabilities))
            _probabilities[auxiliaries] = probabilities = Predict(auxiliaries);
        return probabilities;
    }

    public void Dispose()
    {
        foreach (var probabilities in _probabilities.Values)
            probabilities.Dispose();
    }

    private Tensor Predict(Auxiliaries auxiliaries)
    {
        using var scope = NewDisposeScope();
        using var gradients = enable_grad();
        var parts = auxiliaries.HoldOut
            ? Divide(auxiliaries.Networks)
            : [.. Enumerable.Repeat(runs.Data.TrainingRows, auxiliaries.Networks)];
        var probabilities = zeros([runs.Data.Training.Count, runs.Classes]);
        var started = new Queue<(Tensor Rows, RunFactory Runs, Task<RunResult> Run)>();
        for (var number = 1; number <= parts.Length; number++)
        {
            var rows = parts[number - 1];
            var auxiliary = runs with
            {
                Data = DataOf(auxiliaries.HoldOut ? cat([.. parts.Where(part => !ReferenceEquals(part, rows))]) : rows, number - 1),
                Seed = RandomStreams.Derive(runs.Seed, RandomStreams.Purpose.AuxiliaryFolds, number),
            };
            var name = $"{(auxiliaries.HoldOut ? "Fold" : "Teacher")} {number} of {parts.Length}";
            started.Enqueue((rows, auxiliary, auxiliary.Start(new RunRequest(name, OptionsOf(auxiliary.Data, number), watch(name)))));
            AddEnded();
        }
        while (started.TryPeek(out var next))
        {
            runs.WaitFor(next.Run);
            AddEnded();
        }
        Describe(probabilities, auxiliaries, parts.Length);
        return probabilities.DetachFromDisposeScope();

        void AddEnded()
        {
            while (started.TryPeek(out var next) && next.Run.IsCompleted)
            {
                started.Dequeue();
                using var result = next.Runs.Wait(next.Run);
                result.RequireHistory();
                // The run itself has not started: it has nothing to keep.
                options.StopToken.ThrowIfCancellationRequested();
                probabilities.index_add_(
                    0, next.Rows, PredictRows(next.Runs, result, next.Rows), auxiliaries.HoldOut ? 1 : 1.0 / parts.Length);
            }
        }
    }

    private Tensor[] Divide(int folds)
    {
        using var generator = RandomStreams.Create(runs.Seed, RandomStreams.Purpose.AuxiliaryFolds, 0);
        var parts = new StratifiedSplit(runs.Data.Training, runs.Data.TrainingRows, generator).Fold(folds);
        return parts.Length > 1
            ? parts
            : throw new InvalidOperationException(
                "All training images have the same sampling key, so none can be held out. "
                + "Held-out predictions need at least two values of the sampling key.");
    }

    /// <summary>The data of a network: what it is trained on, and what chooses its epoch.</summary>
    private TrainingData DataOf(Tensor rows, int fold)
    {
        if (runs.Data.Validation is not null)
            return runs.Data with { TrainingRows = rows };
        using var generator = RandomStreams.Create(runs.Seed, RandomStreams.Purpose.AuxiliaryValidation, fold);
        var (kept, held) = new StratifiedSplit(runs.Data.Training, rows, generator).Hold(SetAside);
        return held.shape[0] == 0
            ? runs.Data with { TrainingRows = rows }
            : runs.Data with
            {
                TrainingRows = kept,
                Validation = runs.Data.Training,
                ValidationRows = held,
                ValidationWeights = runs.Data.Weights,
            };
    }

    private Tensor PredictRows(RunFactory auxiliary, RunResult result, Tensor rows)
    {
        using var scope = NewDisposeScope();
        using var normalizer = runs.Normalization.On(runs.Device);
        using var network = auxiliary.CreateNetwork();
        network.LoadState(result.State);
        using var weights = new WorkingWeights(network, runs.Device, runs.Precision);
        var (logits, _) = Inference.ComputeLogits(
            network, runs.Precision, runs.Data.Training, rows, normalizer, runs.Device, runs.CheckAlive);
        return logits.softmax(1).to(CPU).MoveToOuterDisposeScope();
    }

    private TrainingOptions OptionsOf(TrainingData data, int number) => options.With(o =>
    {
        o.FloodLevel = 0;
        // An objective that needs these predictions cannot be used to compute them.
        if (o.Objective.AuxiliaryNetworks > 0)
            o.Objective = FloodingObjective.Flood;
        o.WeightAveraging = o.WeightAveraging is { Enabled: true } averaging ? averaging : WeightAveraging.Exponential;
        o.EarlyStopping = data.Validation is null
            ? null
            : (o.EarlyStopping ?? EarlyStopping.Default) with { Patience = int.MaxValue };
        o.MetricsCallback = null;
        o.Callbacks = [];
        o.CheckpointDirectory = o.CheckpointDirectory is { } folder ? Path.Combine(folder, $"fold-{number}") : null;
    });

    private void Describe(Tensor probabilities, Auxiliaries auxiliaries, int networks)
    {
        var predicted = probabilities.index_select(0, runs.Data.TrainingRows);
        var labels = runs.Data.Training.Labels.index_select(0, runs.Data.TrainingRows);
        var agreement = predicted.argmax(1).eq(labels).to(ScalarType.Float32).mean().item<float>();
        var suspected = ConfidentLearning.Of(predicted, labels).Suspected.Count(s => s);
        log(FormattableString.Invariant(
            $"{(auxiliaries.HoldOut ? "Held-out predictions" : "Predictions")} by {networks} network{(networks == 1 ? "" : "s")}: ")
            + FormattableString.Invariant($"{agreement:0.0000} of {labels.shape[0]} images have ")
            + FormattableString.Invariant($"the predicted label. {suspected} labels are suspected to be wrong."));
    }
}
