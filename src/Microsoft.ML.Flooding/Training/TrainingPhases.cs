using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Objectives;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>
/// What each epoch trains: the head alone in the first <see cref="TrainingOptions.FreezeBackboneEpochs"/> epochs, the whole network after
/// that. Each phase has its own optimizers.
/// </summary>
internal sealed class TrainingPhases : IDisposable
{
    private readonly TrainingData _data;
    private readonly Device _device;
    private readonly Action _checkAlive;
    private readonly int _headEpochs;
    private readonly Tensor? _exampleWeights;
    private readonly TrainingStep _whole;
    private readonly TrainingStep? _head;
    private CachedFeatures? _features;

    /// <param name="weights">The network's weights.</param>
    /// <param name="normalizer">Normalizes pixels to the network's input.</param>
    /// <param name="objective">What steps minimize.</param>
    /// <param name="options">Valid options.</param>
    /// <param name="data">The images.</param>
    /// <param name="device">The device of the network.</param>
    /// <param name="checkAlive">Called before each batch; throws to cancel.</param>
    /// <param name="ranks">The processes that share each mini-batch; null: this one takes all of it.</param>
    public TrainingPhases(
        WorkingWeights weights, Normalization.PixelNormalizer normalizer, Objective objective, TrainingOptions options, TrainingData data,
        Device device, Action checkAlive, Ranks? ranks)
    {
        _data = data;
        _device = device;
        _checkAlive = checkAlive;
        _headEpochs = options.FreezeBackboneEpochs;
        _exampleWeights = data.Weights?.to(device, copy: true).DetachFromDisposeScope();
        var whole = new WholeNetwork(weights, normalizer, options.FreezeBatchNorm);
        _whole = new TrainingStep(weights, objective, whole, options, _exampleWeights, ranks);
        if (_headEpochs == 0)
            return;
        // Without augmentation an image has the same features in every epoch.
        var takesFeatures = options.Augmentation == Augmentation.None;
        var head = new HeadOnly(weights, (Network)weights.Network, normalizer, takesFeatures);
        _head = new TrainingStep(weights, objective, head, options, _exampleWeights, ranks);
    }

    /// <summary>The optimizers' own tensors, for checkpoints. The names are stable.</summary>
    public IEnumerable<(string Name, Tensor Value)> OptimizerTensors =>
        _whole.State.Select(s => ($"optimizer.{s.Name}", s.Value))
            .Concat((_head?.State ?? []).Select(s => ($"head-optimizer.{s.Name}", s.Value)));

    /// <summary>
    /// The step that an epoch takes, and the data that it takes it on: images, or their features under a frozen backbone.
    /// </summary>
    /// <param name="epoch">The number of the epoch, from 1.</param>
    public (TrainingStep Step, TrainingData Data) At(int epoch)
    {
        if (_head is not { Part: HeadOnly head } || epoch > _headEpochs)
        {
            _features?.Dispose();
            _features = null;
            return (_whole, _data);
        }
        if (!head.TakesFeatures)
            return (_head, _data);
        _features ??= CachedFeatures.Compute(_data, head, _device, _checkAlive);
        return (_head, _features.Data);
    }

    public void Dispose()
    {
        _whole.Dispose();
        _head?.Dispose();
        _features?.Dispose();
        _exampleWeights?.Dispose();
    }
}
