using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>What networks think of samples that they were not trained on, by cross-fitting over the training rows.</summary>
internal static class HeldOutPredictions
{
    /// <summary>Trains a network for each fold of the training rows, on all others.</summary>
    /// <param name="runs">Of the run that the predictions are for.</param>
    /// <param name="options">
    /// Its options. The auxiliary networks train by them as well, but plain, and are taken from the epoch of the highest validation accuracy,
    /// as the authors' code of AdaFlood takes them; without validation data, from the last epoch.
    /// </param>
    /// <param name="folds">At least 2, of about one size and with all classes; no more than there are groups of rows are used.</param>
    /// <returns>float32 [rows of the set], on the CPU: the probability of each training row's label; 1 for rows that are not trained on.</returns>
    public static Tensor Of(RunFactory runs, TrainingOptions options, int folds)
    {
        using var scope = NewDisposeScope();
        using var generator = RandomStreams.Create(runs.Seed, RandomStreams.Purpose.AuxiliaryFolds, 0);
        var parts = new StratifiedSplit(runs.Data.Training, runs.Data.TrainingRows, generator).Fold(folds);
        if (parts.Length < 2)
            throw new InvalidOperationException(
                "All training images have the same sampling key, so that none can be held out from training on the others.");
        var probabilities = ones([runs.Data.Training.Count]);
        for (var fold = 0; fold < parts.Length; fold++)
        {
            var others = cat([.. parts.Where((_, i) => i != fold)]);
            var auxiliary = runs with
            {
                Data = runs.Data with { TrainingRows = others },
                Seed = RandomStreams.Derive(runs.Seed, RandomStreams.Purpose.AuxiliaryFolds, fold + 1),
            };
            probabilities.index_copy_(0, parts[fold], Predict(auxiliary, Auxiliary(options, runs, fold), parts[fold]));
        }
        return probabilities.MoveToOuterDisposeScope();
    }

    private static TrainingOptions Auxiliary(TrainingOptions options, RunFactory runs, int fold) => options.With(o =>
    {
        o.FloodLevel = 0;
        o.Objective = FloodingObjective.Flood;
        o.WeightAveraging = WeightAveraging.None;
        o.EarlyStopping = runs.Data.Validation is null
            ? null
            : new EarlyStopping { Metric = ValidationMetric.Accuracy, Patience = int.MaxValue };
        o.MetricsCallback = null;
        o.Callbacks = [];
        o.CheckpointDirectory = o.CheckpointDirectory is { } folder ? Path.Combine(folder, $"fold-{fold + 1}") : null;
    });

    private static Tensor Predict(RunFactory runs, TrainingOptions options, Tensor heldOut)
    {
        using var scope = NewDisposeScope();
        using var normalizer = runs.Normalization.On(runs.Device);
        using var prepared = runs.Create(options);
        prepared.Run.Fit(_ => { }, prepared.Checkpoints);
        // Nothing of the run itself is trained yet.
        options.StopToken.ThrowIfCancellationRequested();
        var (logits, labels) = Inference.Of(prepared.Network, runs.Precision, runs.Data.Training, heldOut, normalizer, runs.Device, runs.CheckAlive);
        return logits.softmax(1).gather(1, labels.unsqueeze(1)).squeeze(1).to(CPU).MoveToOuterDisposeScope();
    }
}
