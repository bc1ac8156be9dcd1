using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>Predictions for training images by networks that were not trained on them (cross-fitting).</summary>
internal static class HeldOutPredictions
{
    /// <summary>Trains a network for each fold of the training rows, on the other folds.</summary>
    /// <param name="runs">The factory of the run that needs the predictions.</param>
    /// <param name="options">
    /// The options of that run. The auxiliary networks use them too, but without a flood. As in the code of AdaFlood's authors, each has
    /// the weights of the epoch with the highest validation accuracy; without validation data, of the last epoch.
    /// </param>
    /// <param name="folds">
    /// The number of folds, at least 2. They have similar sizes and all classes. There are at most as many as groups of rows.
    /// </param>
    /// <returns>
    /// The probability of each training row's label, float32 [rows of the set] on the CPU; 1 for rows that are not trained on.
    /// </returns>
    public static Tensor Predict(RunFactory runs, TrainingOptions options, int folds)
    {
        using var scope = NewDisposeScope();
        using var generator = RandomStreams.Create(runs.Seed, RandomStreams.Purpose.AuxiliaryFolds, 0);
        var parts = new StratifiedSplit(runs.Data.Training, runs.Data.TrainingRows, generator).Fold(folds);
        if (parts.Length < 2)
            throw new InvalidOperationException(
                "All training images have the same sampling key, so none can be held out. "
                + "AdaFlood needs at least two values of the sampling key.");
        var probabilities = ones([runs.Data.Training.Count]);
        for (var fold = 0; fold < parts.Length; fold++)
        {
            var others = cat([.. parts.Where((_, i) => i != fold)]);
            var auxiliary = runs with
            {
                Data = runs.Data with { TrainingRows = others },
                Seed = RandomStreams.Derive(runs.Seed, RandomStreams.Purpose.AuxiliaryFolds, fold + 1),
            };
            probabilities.index_copy_(0, parts[fold], PredictFold(auxiliary, CreateOptions(options, runs, fold), parts[fold]));
        }
        return probabilities.MoveToOuterDisposeScope();
    }

    private static TrainingOptions CreateOptions(TrainingOptions options, RunFactory runs, int fold) => options.With(o =>
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

    private static Tensor PredictFold(RunFactory runs, TrainingOptions options, Tensor heldOut)
    {
        using var scope = NewDisposeScope();
        using var normalizer = runs.Normalization.On(runs.Device);
        using var prepared = runs.Create(options);
        prepared.Run.Fit(_ => { }, prepared.Checkpoints);
        // The run itself has not started: it has nothing to keep.
        options.StopToken.ThrowIfCancellationRequested();
        var (logits, labels) = Inference.ComputeLogits(
            prepared.Network, runs.Precision, runs.Data.Training, heldOut, normalizer, runs.Device, runs.CheckAlive);
        return logits.softmax(1).gather(1, labels.unsqueeze(1)).squeeze(1).to(CPU).MoveToOuterDisposeScope();
    }
}
