using Microsoft.ML.Flooding.Objectives;
using TorchSharp;

namespace Microsoft.ML.Flooding;

/// <summary>What training minimizes instead of the mean loss: the flood of Ishida et al. or one of its successors.</summary>
/// <remarks>
/// All objectives except <see cref="Flood"/> and <see cref="ClassWise()"/> keep the loss of each sample, not the mean, near its level. The
/// network is then underconfident by design; <see cref="FloodedImageClassificationTrainer.Options.FitTemperature"/> calibrates its
/// probabilities.
/// </remarks>
public abstract partial record FloodingObjective
{
    private protected FloodingObjective() { }

    /// <summary>
    /// |J - b| + b on the mean loss J of a mini-batch, where b is <see cref="TrainingOptions.FloodLevel"/> (Ishida et al., ICML 2020). The
    /// default.
    /// </summary>
    public static FloodingObjective Flood { get; } = new FloodObjective();

    /// <summary>
    /// The mean of |l - b| + b over the losses l of the samples, where b is <see cref="TrainingOptions.FloodLevel"/> (iFlood: Xie et al.,
    /// ICLR 2022).
    /// </summary>
    public static FloodingObjective IndividualFlood { get; } = new IndividualFloodObjective();

    /// <summary>
    /// theta + sigma^2 times the mean of sqrt(1 + ((l - theta) / sigma)^2) - 1 over the losses l of the samples, where theta is
    /// <see cref="TrainingOptions.FloodLevel"/> (Holland and Nakatani, 2024). As <see cref="IndividualFlood"/>, with a gradient that fades
    /// near the level.
    /// </summary>
    /// <param name="sigma">
    /// The width of the region in which the gradient fades, in units of the loss, from 1e-6 to 1e6. Default: 1. For a sigma near 0, the
    /// objective is <see cref="IndividualFlood"/> scaled by sigma.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="sigma"/> is out of its range.</exception>
    public static FloodingObjective SoftAscentDescent(double sigma = 1)
    {
        if (sigma is not (>= 1e-6 and <= 1e6))
            throw new ArgumentOutOfRangeException(nameof(sigma), sigma, "Sigma must be from 1e-6 to 1e6.");
        return new SoftAscentDescentObjective(sigma);
    }

    /// <summary>
    /// A flood on the mean loss of each class present in a mini-batch, weighted by its share of the batch (Aizawa et al., 2025). The level
    /// of a class with n_c training images is b n_c / n_max, where n_max is the number of images of the largest class and b is
    /// <see cref="TrainingOptions.FloodLevel"/>. Rare classes are trained to a lower loss than frequent ones.
    /// </summary>
    /// <remarks>
    /// This formula for the levels is not from the paper. Use <see cref="ClassWise(IReadOnlyList{float})"/> to set your own levels.
    /// </remarks>
    public static FloodingObjective ClassWise() => new ClassWiseObjective(null);

    /// <summary>
    /// A flood on the mean loss of each class present in a mini-batch, weighted by its share of the batch (Aizawa et al., 2025).
    /// <see cref="TrainingOptions.FloodLevel"/> is not used.
    /// </summary>
    /// <param name="levels">The level of each class in the order of the label's keys, finite and at least 0.</param>
    /// <exception cref="ArgumentException">There are no levels, or one is negative or not finite.</exception>
    public static FloodingObjective ClassWise(params IReadOnlyList<float> levels)
    {
        ArgumentNullException.ThrowIfNull(levels);
        if (levels.Count == 0 || levels.Any(l => !float.IsFinite(l) || l < 0))
            throw new ArgumentException("There must be a level for each class, finite and at least 0.", nameof(levels));
        return new ClassWiseObjective([.. levels]);
    }

    /// <summary>
    /// Trains on targets between the label y and the uniform distribution u over the K classes: q = (1 - s) y + s u (Szegedy et al., CVPR
    /// 2016). The loss of each sample has the entropy of q as its floor. <see cref="TrainingOptions.FloodLevel"/> is not used.
    /// </summary>
    /// <param name="smoothing">The share s of the uniform distribution, in [0, 1). Default: 0.1.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="smoothing"/> is out of its range.</exception>
    public static FloodingObjective LabelSmoothing(double smoothing = 0.1)
    {
        if (smoothing is not (>= 0 and < 1))
            throw new ArgumentOutOfRangeException(nameof(smoothing), smoothing, "The smoothing must be at least 0 and below 1.");
        return new LabelSmoothingObjective(smoothing);
    }

    /// <summary>
    /// As <see cref="Flood"/>, for labels of which a known share is wrong (forward correction: Patrini et al., CVPR 2017). The loss of a
    /// sample is -ln((1 - s) p + s (1 - p) / (K - 1)), where p is the probability of its label and K the number of classes. A label that
    /// the network is sure to be wrong costs little, so it is not learned. The probabilities of the model are those of the true classes.
    /// <see cref="FineTuning.Automatic"/> estimates the share.
    /// </summary>
    /// <param name="share">
    /// The share s of the labels that are wrong, at least 0 and below 1 - 1 / K. Each wrong label is assumed to be one of the other classes
    /// with the same probability.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="share"/> is not in [0, 1).</exception>
    public static FloodingObjective NoisyLabels(double share)
    {
        if (share is not (>= 0 and < 1))
            throw new ArgumentOutOfRangeException(nameof(share), share, "The share must be at least 0 and below 1.");
        return new NoisyLabelsObjective(share);
    }

    /// <summary>An objective of your own: a function of the losses of a mini-batch's samples.</summary>
    /// <param name="name">
    /// The name of the function in logs and checkpoints. A checkpoint is continued only under the same name: change it when you change the
    /// function.
    /// </param>
    /// <param name="function">
    /// From the cross-entropy of each sample, float32 [N] on the device of the network, to the value to minimize, a float32 scalar. If
    /// images have weights, each loss is multiplied by its weight, which is 1 on average over the training set. The function is called in
    /// every step. Tensors that it creates are disposed of after the step. It must not change the losses in place. An exception that it
    /// throws ends the training and reaches the caller of Fit.
    /// </param>
    /// <param name="flooded">
    /// Whether the value J is flooded: |J - b| + b is minimized, with b of <see cref="TrainingOptions.FloodLevel"/>; at a level of 0, J
    /// itself. If false, J is minimized and <see cref="TrainingOptions.FloodLevel"/> is not used. Default: false.
    /// </param>
    /// <exception cref="ArgumentException"><paramref name="name"/> is empty or blank.</exception>
    public static FloodingObjective FromFunction(string name, Func<torch.Tensor, torch.Tensor> function, bool flooded = false)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(function);
        return new FunctionFloodingObjective(name, function, flooded);
    }

    /// <summary>Whether training with it at a <see cref="TrainingOptions.FloodLevel"/> has no flood.</summary>
    internal virtual bool IsPlainAt(float floodLevel) => floodLevel == 0;

    /// <summary>Whether <see cref="TrainingOptions.FloodLevel"/> has an effect. If not, there is no level to search for.</summary>
    internal virtual bool UsesFloodLevel => true;

    /// <summary>The number of networks that predict the training images before the run starts; 0: none.</summary>
    internal int AuxiliaryNetworks => Auxiliaries?.Networks ?? 0;

    /// <summary>These networks; null: none.</summary>
    internal virtual Auxiliaries? Auxiliaries => null;

    /// <summary>Whether a function of the application computes it.</summary>
    internal virtual bool IsFunction => false;

    /// <summary>The objectives that validation data chooses among, one run for each; the objective itself if there is no choice.</summary>
    internal virtual IReadOnlyList<FloodingObjective> Candidates => [this];

    /// <summary>
    /// Whether the objective is defined for mixed samples. A mixed sample has a loss, but neither a single class nor a held-out loss.
    /// </summary>
    internal virtual bool AllowsMixup => true;

    /// <summary>Whether the objective of a mini-batch is the mean of that of its parts.</summary>
    internal virtual bool AllowsParts => true;

    /// <summary>The objective of a run.</summary>
    /// <param name="floodLevel">The flood level of the run.</param>
    /// <param name="facts">What the objective can compute its levels from.</param>
    /// <exception cref="InvalidOperationException">The objective does not fit the training set; the message says why.</exception>
    internal abstract Objective At(float floodLevel, ObjectiveFacts facts);

    /// <inheritdoc/>
    public sealed override string ToString() => Describe();

    private protected abstract string Describe();

    private sealed record FloodObjective : FloodingObjective
    {
        internal override Objective At(float floodLevel, ObjectiveFacts facts) => Objectives.Flood.At(floodLevel);

        private protected override string Describe() => nameof(Flood);
    }

    private sealed record IndividualFloodObjective : FloodingObjective
    {
        internal override Objective At(float floodLevel, ObjectiveFacts facts) =>
            IsPlainAt(floodLevel) ? new CrossEntropy() : new Objectives.IndividualFlood(floodLevel);

        private protected override string Describe() => nameof(IndividualFlood);
    }

    private sealed record SoftAscentDescentObjective(double Sigma) : FloodingObjective
    {
        // Even at theta = 0, small losses have a smaller gradient than large ones.
        internal override bool IsPlainAt(float floodLevel) => false;

        internal override Objective At(float floodLevel, ObjectiveFacts facts) => new Objectives.SoftAscentDescent(floodLevel, Sigma);

        private protected override string Describe() => FormattableString.Invariant($"{nameof(SoftAscentDescent)}(sigma: {Sigma})");
    }

    private sealed record LabelSmoothingObjective(double Smoothing) : FloodingObjective
    {
        internal override bool IsPlainAt(float floodLevel) => Smoothing == 0;

        internal override bool UsesFloodLevel => false;

        internal override bool AllowsMixup => false;

        internal override Objective At(float floodLevel, ObjectiveFacts facts) => new SmoothedLabels(Smoothing);

        private protected override string Describe() => FormattableString.Invariant($"{nameof(LabelSmoothing)}({Smoothing})");
    }

    private sealed record NoisyLabelsObjective(double Share) : FloodingObjective
    {
        internal override bool AllowsMixup => false;

        internal override Objective At(float floodLevel, ObjectiveFacts facts)
        {
            var flood = Objectives.Flood.At(floodLevel);
            var classes = facts.ClassCounts.Count;
            if (Share == 0 || classes < 2)
                return flood;
            return Share < 1 - (1.0 / classes)
                ? new Objectives.NoisyLabels(Share, classes, flood)
                : throw new InvalidOperationException(FormattableString.Invariant(
                    $"{this} leaves nothing to learn: with {classes} classes, labels of which {1 - (1.0 / classes):0.###} are wrong are ")
                    + "random. Choose a lower share.");
        }

        private protected override string Describe() => FormattableString.Invariant($"{nameof(NoisyLabels)}({Share})");
    }

    private sealed record FunctionFloodingObjective(string Name, Func<torch.Tensor, torch.Tensor> Function, bool Flooded)
        : FloodingObjective
    {
        internal override bool IsPlainAt(float floodLevel) => !Flooded || floodLevel == 0;

        internal override bool UsesFloodLevel => Flooded;

        internal override bool IsFunction => true;

        internal override bool AllowsParts => false;

        internal override Objective At(float floodLevel, ObjectiveFacts facts) =>
            new FunctionObjective(Name, Function, IsPlainAt(floodLevel) ? null : floodLevel);

        private protected override string Describe() => $"{nameof(FromFunction)}({Name}{(Flooded ? ", flooded" : "")})";
    }

    private sealed record ClassWiseObjective(float[]? Levels) : FloodingObjective
    {
        internal override bool IsPlainAt(float floodLevel) => Levels is null ? floodLevel == 0 : Levels.All(l => l == 0);

        internal override bool UsesFloodLevel => Levels is null;

        internal override bool AllowsParts => false;

        internal override bool AllowsMixup => false;

        internal override Objective At(float floodLevel, ObjectiveFacts facts)
        {
            if (IsPlainAt(floodLevel))
                return new CrossEntropy();
            if (Levels is { } levels && levels.Length != facts.ClassCounts.Count)
                throw new InvalidOperationException(
                    $"{nameof(FloodingObjective)}.{nameof(ClassWise)} has {levels.Length} levels, but the training data has "
                    + $"{facts.ClassCounts.Count} classes. Set one level for each class.");
            var largest = facts.ClassCounts.Max();
            var values = Levels ?? [.. facts.ClassCounts.Select(n => (float)(floodLevel * (double)n / largest))];
            return new Objectives.ClassWise(torch.tensor(values, device: facts.Device));
        }

        private protected override string Describe() => Levels is null
            ? $"{nameof(ClassWise)}(by frequency)"
            : $"{nameof(ClassWise)}({string.Join(", ", Levels.Select(l => FormattableString.Invariant($"{l}")))})";

        public bool Equals(ClassWiseObjective? other) =>
            other is not null && (Levels is null ? other.Levels is null : other.Levels is { } levels && Levels.SequenceEqual(levels));

        public override int GetHashCode() => Levels?.Length ?? 0;
    }
}
