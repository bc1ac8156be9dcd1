using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Objectives;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Microsoft.ML.Flooding.Training;

/// <summary>A step on one mini-batch: forward, backward, update. It does not wait for the device.</summary>
internal sealed class TrainingStep : IDisposable
{
    private readonly WorkingWeights _weights;
    private readonly Objective _objective;
    private readonly Augmentation? _augmentation;
    private readonly double? _maxGradientNorm;
    private readonly Tensor? _exampleWeights;
    private readonly Tensor[] _trained;
    private readonly (FusedOptimizer Optimizer, double RateFactor, int[] Gradients)[] _groups;

    /// <param name="weights">The network's weights.</param>
    /// <param name="objective">What steps minimize.</param>
    /// <param name="part">What is trained.</param>
    /// <param name="options">Valid options.</param>
    /// <param name="exampleWeights"><see cref="TrainingData.Weights"/>, on the device. They stay the caller's.</param>
    public TrainingStep(
        WorkingWeights weights, Objective objective, NetworkPart part, TrainingOptions options, Tensor? exampleWeights = null)
    {
        _weights = weights;
        _objective = objective;
        Part = part;
        _augmentation = options.Augmentation == Augmentation.None ? null : options.Augmentation;
        _maxGradientNorm = options.MaxGradientNorm;
        _exampleWeights = exampleWeights;
        _trained = [.. part.Trained.Select(i => weights.Parameters[i])];
        var masters = part.Trained.Select(i => weights.Masters[i]).ToArray();
        var factors = LayerWiseDecay.Factors(weights, options.LayerDecay);
        // Biases and normalization parameters are the vectors; matrices and convolutions have two dimensions or more.
        double DecayOf(int i) => options.DecayBiasAndNorm || masters[i].dim() > 1 ? options.WeightDecay : 0;
        var groups = Enumerable.Range(0, masters.Length).GroupBy(i => (Decay: DecayOf(i), Factor: factors[part.Trained[i]]));
        _groups =
        [
            .. groups.Select(g =>
                (FusedOptimizer.Create([.. g.Select(i => masters[i])], options, g.Key.Decay), g.Key.Factor, g.ToArray())),
        ];
    }

    /// <summary>What is trained.</summary>
    public NetworkPart Part { get; }

    /// <summary>The optimizers' own tensors, for checkpoints.</summary>
    public IEnumerable<(string Name, Tensor Value)> State =>
        _groups.SelectMany((g, i) => g.Optimizer.State.Select(s => ($"{i}.{s.Name}", s.Value)));

    /// <summary>Takes a step. The tensors that it returns belong to the caller's dispose scope.</summary>
    /// <param name="batch">Images and labels on the device.</param>
    /// <param name="learningRate">The learning rate of this step.</param>
    /// <param name="generator">The CPU generator of the augmentation.</param>
    public (BatchLoss Loss, Tensor? Balance, Tensor[] Gradients) Take(ImageBatch batch, double learningRate, Generator generator)
    {
        var (images, mixup) = Prepare(batch.Pixels, generator);
        var logits = Part.Logits(images);
        var weights = _exampleWeights?.index_select(0, batch.Rows);
        if (weights is not null && mixup is { } mixed)
            (mixup, weights) = mixed.Weigh(weights);
        var loss = new BatchLoss(
            reduction => CrossEntropy(logits, batch.Labels, mixup, reduction), batch.Labels, batch.Rows, weights, logits);
        var descent = _objective.Of(loss);
        var gradients = Gradient.Of(descent.Minimised, _trained, descent.Direction);
        using var _ = no_grad();
        Update(gradients, learningRate);
        return (loss, descent.Balance, gradients);
    }

    public void Dispose()
    {
        foreach (var (optimizer, _, _) in _groups)
            optimizer.Dispose();
    }

    /// <summary>Augments and normalizes pixels.</summary>
    private (Tensor Images, Mixup? Mixup) Prepare(Tensor pixels, Generator generator)
    {
        if (_augmentation is null)
            return (Part.Prepare(pixels), null);
        var images = Part.Normalizer.ApplyInPlace(_augmentation.Apply(Normalization.PixelNormalizer.ToFloat(pixels), generator));
        var mixup = _augmentation.DrawMixup(images, generator);
        return (mixup?.MixImages(images) ?? images, mixup);
    }

    private static Tensor CrossEntropy(Tensor logits, Tensor labels, Mixup? mixup, Reduction reduction)
    {
        var losses = functional.cross_entropy(logits, labels, reduction: reduction);
        return mixup is { } mix
            ? mix.MixLosses(losses, functional.cross_entropy(logits, labels.index_select(0, mix.Partners), reduction: reduction))
            : losses;
    }

    private void Update(Tensor[] gradients, double learningRate)
    {
        if (_maxGradientNorm is { } maximum)
            TensorListKernels.ClipNorm(gradients, maximum);
        foreach (var (optimizer, factor, members) in _groups)
            optimizer.Step(members.Length == gradients.Length ? gradients : [.. members.Select(i => gradients[i])], learningRate * factor);
        _weights.Publish();
    }
}
