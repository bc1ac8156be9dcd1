using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>What networks think of samples that they were not trained on, by cross-fitting over the training rows.</summary>
internal sealed class HeldOutPredictions
{
    private readonly TrainingOptions _options;
    private readonly Architecture _architecture;
    private readonly TrainingData _data;
    private readonly Normalization _normalization;
    private readonly Device _device;
    private readonly ScalarType _precision;
    private readonly long _seed;
    private readonly Func<long, nn.Module<Tensor, Tensor>> _createNetwork;
    private readonly Action _checkAlive;

    /// <param name="options">Of the run that the predictions are for; the auxiliary networks train as it does, but plain and to the end.</param>
    /// <param name="architecture">What <paramref name="createNetwork"/> creates.</param>
    /// <param name="data">Its data.</param>
    /// <param name="normalization">From pixels to the network's input.</param>
    /// <param name="device">Where the networks are trained.</param>
    /// <param name="precision">The type that they compute in.</param>
    /// <param name="seed">Of everything random.</param>
    /// <param name="createNetwork">A fresh network from a seed.</param>
    /// <param name="checkAlive">Called before each step; throws to cancel.</param>
    public HeldOutPredictions(
        TrainingOptions options, Architecture architecture, TrainingData data, Normalization normalization, Device device, ScalarType precision, long seed,
        Func<long, nn.Module<Tensor, Tensor>> createNetwork, Action checkAlive)
    {
        _options = options.Plain();
        _architecture = architecture;
        _data = data;
        _normalization = normalization;
        _device = device;
        _precision = precision;
        _seed = seed;
        _createNetwork = createNetwork;
        _checkAlive = checkAlive;
    }

    /// <summary>Trains a network for each fold of the training rows, on all others.</summary>
    /// <param name="folds">At least 2; no more than there are rows are used.</param>
    /// <returns>float32 [rows of the set], on the CPU: the probability of each training row's label; 1 for rows that are not trained on.</returns>
    public Tensor LabelProbabilities(int folds)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var generator = RandomStreams.Create(_seed, RandomStreams.Purpose.AuxiliaryFolds, 0, CPU);
        var rows = _data.TrainingRows.index_select(0, randperm(_data.TrainingRows.shape[0], generator: generator));
        var probabilities = ones([_data.Training.Count]);
        var parts = rows.tensor_split(Math.Min(folds, rows.shape[0]));
        for (var fold = 0; fold < parts.Length; fold++)
        {
            var others = cat([.. parts.Where((_, i) => i != fold)]);
            probabilities.index_copy_(0, parts[fold], Predict(fold, others, parts[fold]));
        }
        return probabilities.MoveToOuterDisposeScope();
    }

    private Tensor Predict(int fold, Tensor trainingRows, Tensor heldOut)
    {
        using var scope = NewDisposeScope();
        var seed = RandomStreams.Derive(_seed, RandomStreams.Purpose.AuxiliaryFolds, fold + 1);
        using var network = _createNetwork(seed);
        using var normalizer = _normalization.On(_device);
        var data = new TrainingData(_data.Training, trainingRows, null, null);
        var checkpoints = _options.CheckpointDirectory is { } folder
            ? new CheckpointStore(
                Path.Combine(folder, $"fold-{fold + 1}"), RunIdentity.Of(_options, _architecture, data, _normalization, _precision, _device, seed))
            : null;
        using (enable_grad())
        using (var run = new TrainingRun(
            network, new Objectives.CrossEntropy(), _options, data, _normalization, _device, _precision, seed, _checkAlive))
        {
            run.Fit(_ => { }, checkpoints);
        }
        var (logits, labels) = Inference.Of(network, _precision, _data.Training, heldOut, normalizer, _device, _checkAlive);
        return logits.softmax(1).gather(1, labels.unsqueeze(1)).squeeze(1).to(CPU).MoveToOuterDisposeScope();
    }
}
