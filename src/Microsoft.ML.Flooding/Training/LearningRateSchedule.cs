using System.Globalization;

namespace Microsoft.ML.Flooding;

/// <summary>How the learning rate changes over a run, as a factor of <see cref="TrainingOptions.LearningRate"/>.</summary>
public abstract record LearningRateSchedule
{
    private protected LearningRateSchedule() { }

    /// <summary>
    /// Epochs over which the rate rises linearly from zero before the schedule proper begins; may be a fraction, finite and at least 0.
    /// Default: 0.
    /// </summary>
    public double WarmUpEpochs { get; init; }

    /// <summary>The same rate throughout.</summary>
    public static LearningRateSchedule Constant { get; } = new ConstantSchedule();

    /// <summary>
    /// Half a cosine from the full rate to zero at the end of the last epoch (Loshchilov and Hutter, 2017, without restarts).
    /// </summary>
    public static LearningRateSchedule Cosine { get; } = new CosineSchedule();

    /// <summary>The flooding paper's own for image benchmarks: a tenth from half of the epochs on, a hundredth from 80 % on.</summary>
    public static LearningRateSchedule Paper { get; } = Step(0.1, 0.5, 0.8);

    /// <summary>Multiplies the rate by <paramref name="factor"/> at each milestone.</summary>
    /// <param name="factor">Factor a milestone, in (0, 1].</param>
    /// <param name="milestones">Fractions of the run, in (0, 1), ascending.</param>
    /// <exception cref="ArgumentException">A milestone or the factor is out of range.</exception>
    public static LearningRateSchedule Step(double factor, params IReadOnlyList<double> milestones)
    {
        ArgumentNullException.ThrowIfNull(milestones);
        if (factor is not (> 0 and <= 1))
            throw new ArgumentException($"The factor must be in (0, 1]; it is {factor}.", nameof(factor));
        if (milestones.Any(m => m is not (> 0 and < 1)) || !milestones.SequenceEqual(milestones.Order()))
            throw new ArgumentException("Milestones are fractions of the run in (0, 1), ascending.", nameof(milestones));
        return new StepSchedule(factor, [.. milestones]);
    }

    /// <summary>A schedule of your own.</summary>
    /// <param name="name">
    /// The name of the function in logs and checkpoints. A checkpoint is continued only under the same name: change it when you change the
    /// function.
    /// </param>
    /// <param name="factor">
    /// From the progress of the run after the warm-up, in [0, 1), to the factor of <see cref="TrainingOptions.LearningRate"/>, finite and
    /// at least 0. It is called before every step. An exception that it throws ends the training and reaches the caller of Fit.
    /// </param>
    /// <exception cref="ArgumentException"><paramref name="name"/> is empty or blank.</exception>
    public static LearningRateSchedule FromFunction(string name, Func<double, double> factor)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(factor);
        return new FunctionSchedule(name, factor);
    }

    /// <inheritdoc/>
    public sealed override string ToString() =>
        WarmUpEpochs == 0 ? Describe() : FormattableString.Invariant($"{Describe()} after a warm-up of {WarmUpEpochs} epochs");

    private protected abstract string Describe();

    /// <summary>Whether a function of the application computes it.</summary>
    internal virtual bool IsFunction => false;

    /// <summary>The factor at a step.</summary>
    /// <param name="step">Steps taken so far.</param>
    /// <param name="stepsPerEpoch">Steps in an epoch.</param>
    /// <param name="epochs">Epochs of the whole run.</param>
    internal double FactorAt(long step, long stepsPerEpoch, int epochs)
    {
        var warmUp = WarmUpEpochs * stepsPerEpoch;
        if (step < warmUp)
            return (step + 1) / (warmUp + 1);
        return Factor((step - warmUp) / Math.Max(1, stepsPerEpoch * (long)epochs - warmUp));
    }

    /// <summary>The factor when <paramref name="progress"/> (in [0, 1)) of the run after the warm-up is done.</summary>
    private protected abstract double Factor(double progress);

    private sealed record ConstantSchedule : LearningRateSchedule
    {
        private protected override double Factor(double progress) => 1;

        private protected override string Describe() => nameof(Constant);
    }

    private sealed record CosineSchedule : LearningRateSchedule
    {
        private protected override double Factor(double progress) => (1 + Math.Cos(Math.PI * progress)) / 2;

        private protected override string Describe() => nameof(Cosine);
    }

    private sealed record FunctionSchedule : LearningRateSchedule
    {
        private readonly Func<double, double> _factor;

        public FunctionSchedule(string name, Func<double, double> factor) => (Name, _factor) = (name, factor);

        /// <summary>Stands for the function in the identity of a run.</summary>
        public string Name { get; }

        internal override bool IsFunction => true;

        private protected override double Factor(double progress)
        {
            var factor = _factor(progress);
            return double.IsFinite(factor) && factor >= 0
                ? factor
                : throw new InvalidOperationException(FormattableString.Invariant(
                    $"The schedule '{Name}' returned {factor} at a progress of {progress}. A factor must be finite and at least 0."));
        }

        private protected override string Describe() => $"{nameof(FromFunction)}({Name})";
    }

    private sealed record StepSchedule(double Gamma, double[] Milestones) : LearningRateSchedule
    {
        private protected override double Factor(double progress) => Math.Pow(Gamma, Milestones.Count(m => progress >= m));

        private protected override string Describe() =>
            $"{nameof(Step)}({string.Join(", ", Milestones.Prepend(Gamma).Select(value => value.ToString(CultureInfo.InvariantCulture)))})";

        public bool Equals(StepSchedule? other) =>
            base.Equals(other) && Gamma == other.Gamma && Milestones.SequenceEqual(other.Milestones);

        public override int GetHashCode() => HashCode.Combine(base.GetHashCode(), Gamma, Milestones.Length);
    }
}
