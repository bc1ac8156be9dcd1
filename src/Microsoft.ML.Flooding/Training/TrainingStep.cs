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
    private readonly int? _microBatchSize;
    private readonly Tensor[] _trained;
    private readonly (FusedOptimizer Optimizer, double RateFactor, int[] Gradients)[] _groups;
    private readonly StepSum? _sum;

    /// <param name="weights">The network's weights.</param>
    /// <param name="objective">What steps minimize.</param>
    /// <param name="part">What is trained.</param>
    /// <param name="options">Valid options.</param>
    /// <param name="exampleWeights"><see cref="TrainingData.Weights"/>, on the device. They stay the caller's.</param>
    /// <param name="ranks">The processes that share each mini-batch; null: this one takes all of it.</param>
    public TrainingStep(
        WorkingWeights weights, Objective objective, NetworkPart part, TrainingOptions options, Tensor? exampleWeights = null,
        Ranks? ranks = null)
    {
        _weights = weights;
        _objective = objective;
        Part = part;
        _augmentation = options.Augmentation == Augmentation.None ? null : options.Augmentation;
        _maxGradientNorm = options.MaxGradientNorm;
        _exampleWeights = exampleWeights;
        _microBatchSize = options.MicroBatchSize;
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
        _sum = ranks is null ? null : new StepSum(ranks, masters);
    }

    /// <summary>What is trained.</summary>
    public NetworkPart Part { get; }

    /// <summary>The optimizers' own tensors, for checkpoints.</summary>
    public IEnumerable<(string Name, Tensor Value)> State =>
        _groups.SelectMany((g, i) => g.Optimizer.State.Select(s => ($"{i}.{s.Name}", s.Value)));

    /// <summary>Takes a step. The tensors that it returns belong to the caller's dispose scope.</summary>
    /// <param name="batch">Images and labels on the device: the mini-batch, or this rank's share of it.</param>
    /// <param name="learningRate">The learning rate of this step.</param>
    /// <param name="generator">The CPU generator of the augmentation.</param>
    /// <param name="total">The images of the whole mini-batch; null: those of <paramref name="batch"/>.</param>
    /// <returns>J, the balance of the objective if it has one, and the gradients of the objective; all of the whole mini-batch.</returns>
    public (Tensor Loss, Tensor? Balance, Tensor[] Gradients) Take(
        ImageBatch batch, double learningRate, Generator generator, long? total = null)
    {
        var (images, mixup) = Prepare(batch.Pixels, generator);
        var weights = _exampleWeights?.index_select(0, batch.Rows);
        if (weights is not null && mixup is { } mixed)
            (mixup, weights) = mixed.Weigh(weights);
        var samples = new PreparedBatch(images, batch.Labels, mixup is { } mix ? batch.Labels.index_select(0, mix.Partners) : null, mixup);
        var share = _sum is null ? null : tensor((float)((double)images.shape[0] / (total ?? images.shape[0])), device: images.device);
        var (loss, descent, gradients) = _microBatchSize < images.shape[0]
            ? Descend(samples, batch.Rows, weights, CountParts(images.shape[0], _microBatchSize.Value), share)
            : Descend(samples, batch.Rows, weights, share);
        using var _ = no_grad();
        (var mean, var balance, gradients) = share is null
            ? (loss.Mean.detach(), descent.Balance, gradients)
            : SumOverRanks(loss, descent.Balance, gradients, share);
        Update(gradients, learningRate);
        return (mean, balance, gradients);
    }

    public void Dispose()
    {
        foreach (var (optimizer, _, _) in _groups)
            optimizer.Dispose();
        _sum?.Dispose();
    }

    /// <summary>Batch norm needs two images in a part, so a part may be larger by one.</summary>
    private static int CountParts(long images, int size) =>
        (int)(size == 1 ? images : Math.Min((images + size - 1) / size, images / 2));

    /// <summary>Augments and normalizes pixels.</summary>
    private (Tensor Images, Mixup? Mixup) Prepare(Tensor pixels, Generator generator)
    {
        if (_augmentation is null)
            return (Part.Prepare(pixels), null);
        var images = Part.Normalizer.ApplyInPlace(_augmentation.Apply(Normalization.PixelNormalizer.ToFloat(pixels), generator));
        var mixup = _augmentation.DrawMixup(images, generator);
        return (mixup?.MixImages(images) ?? images, mixup);
    }

    /// <param name="batch">The mini-batch, or this rank's share of it.</param>
    /// <param name="rows">The rows of its images.</param>
    /// <param name="weights">The weights of its images.</param>
    /// <param name="share">
    /// What the gradient of a share is multiplied by; null for the whole mini-batch, whose gradient has the direction of the objective.
    /// </param>
    private (BatchLoss Loss, Descent Descent, Tensor[] Gradients) Descend(
        PreparedBatch batch, Tensor rows, Tensor? weights, Tensor? share)
    {
        var loss = LossOf(batch, Part.Logits(batch.Images), rows, weights);
        var descent = _objective.Of(loss);
        return (loss, descent, Gradient.Of(descent.Minimised, _trained, share ?? descent.Direction));
    }

    /// <summary>
    /// Computes the same gradient from one part of the mini-batch after another, so that only one part's outputs of the layers are in
    /// memory. The sign of J - b is that of the whole mini-batch: it is known after the last part and multiplies the sum of the gradients.
    /// </summary>
    private (BatchLoss Loss, Descent Descent, Tensor[] Gradients) Descend(
        PreparedBatch batch, Tensor rows, Tensor? weights, int parts, Tensor? share)
    {
        var count = batch.Images.shape[0];
        var logits = new List<Tensor>();
        var gradients = Gradient.OfSum(Terms(), _trained);
        using var _ = no_grad();
        var loss = LossOf(batch, cat(logits), rows, weights);
        var descent = _objective.Of(loss);
        if ((share ?? descent.Direction) is { } factor)
            Multiply(gradients, factor);
        return (loss, descent, gradients);

        IEnumerable<(Tensor, Tensor?)> Terms()
        {
            for (var part = 0; part < parts; part++)
            {
                using var scope = NewDisposeScope();
                var start = count * part / parts;
                var length = (count * (part + 1) / parts) - start;
                var samples = batch.Part(start, length);
                var ofPart = Part.Logits(samples.Images);
                logits.Add(ofPart.detach().MoveToOuterDisposeScope());
                var loss = LossOf(samples, ofPart, rows.narrow(0, start, length), weights?.narrow(0, start, length));
                yield return (_objective.Of(loss).Minimised, tensor((float)((double)length / count), device: batch.Images.device));
            }
        }
    }

    /// <summary>
    /// Adds the gradients and losses of all ranks. The sign of J - b is that of the whole mini-batch, so it multiplies the sum, as with
    /// parts.
    /// </summary>
    private (Tensor Mean, Tensor? Balance, Tensor[] Gradients) SumOverRanks(
        BatchLoss loss, Tensor? balance, Tensor[] gradients, Tensor share)
    {
        var one = ones_like(share);
        var figures = stack([loss.Weighted.detach(), loss.MeanWeight ?? one, balance ?? one]).mul(share);
        (gradients, figures) = _sum!.Of(gradients, figures);
        var mean = loss.MeanWeight is null ? figures[0].clone() : figures[0].div(figures[1]);
        if (_objective.DirectionAt(mean) is not { } direction)
            return (mean, balance is null ? null : figures[2].clone(), gradients);
        Multiply(gradients, direction);
        return (mean, direction, gradients);
    }

    private static void Multiply(Tensor[] gradients, Tensor factor)
    {
        foreach (var gradient in gradients)
            gradient.mul_(factor);
    }

    private static BatchLoss LossOf(PreparedBatch batch, Tensor logits, Tensor rows, Tensor? weights) =>
        new(reduction => batch.CrossEntropy(logits, reduction), batch.Labels, rows, weights, logits);

    private void Update(Tensor[] gradients, double learningRate)
    {
        if (_maxGradientNorm is { } maximum)
            TensorListKernels.ClipNorm(gradients, maximum);
        foreach (var (optimizer, factor, members) in _groups)
            optimizer.Step(members.Length == gradients.Length ? gradients : [.. members.Select(i => gradients[i])], learningRate * factor);
        _weights.Publish();
    }
}

/// <summary>A mini-batch as the network takes it.</summary>
/// <param name="Images">The network's input.</param>
/// <param name="Labels">int64 [N].</param>
/// <param name="PartnerLabels">With mixup, the labels of the partners: int64 [N].</param>
/// <param name="Mixup">How the images were mixed; null if they were not.</param>
internal sealed record PreparedBatch(Tensor Images, Tensor Labels, Tensor? PartnerLabels, Mixup? Mixup)
{
    /// <summary>Some samples in a row.</summary>
    public PreparedBatch Part(long start, long count) => new(
        Images.narrow(0, start, count), Labels.narrow(0, start, count), PartnerLabels?.narrow(0, start, count), Mixup?.Part(start, count));

    /// <summary>The losses of the logits.</summary>
    public Tensor CrossEntropy(Tensor logits, Reduction reduction)
    {
        var losses = functional.cross_entropy(logits, Labels, reduction: reduction);
        return Mixup is { } mixup
            ? mixup.MixLosses(losses, functional.cross_entropy(logits, PartnerLabels!, reduction: reduction))
            : losses;
    }
}
