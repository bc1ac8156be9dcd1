using System.Globalization;
using Microsoft.ML.Flooding.Objectives;
using TorchSharp;

namespace Microsoft.ML.Flooding;

public abstract partial record FloodingObjective
{
    /// <summary>
    /// Trains on targets that the data itself corrects: q = w p + (1 - w) y, where y is the label and p is what a network that was not
    /// trained on the image predicts for it (cross-fitting). The loss of a sample, the cross-entropy of q and the prediction, cannot fall
    /// below the entropy of q: each sample has a flood level of its own, and no b has to be chosen. For labels of which some are wrong.
    /// <see cref="TrainingOptions.FloodLevel"/> is not used.
    /// </summary>
    /// <param name="weight">
    /// The weight w of the prediction, in [0, 1]. 0 is plain training, 1 trains on the predictions alone. Default: 0.7. The more labels are
    /// wrong, the higher the best weight is.
    /// </param>
    /// <param name="folds">
    /// The number of auxiliary networks, at least 2. Default: 2. Each is trained without a flood on the images outside its fold, with
    /// averaged weights, and predicts with those of the best epoch by <see cref="EarlyStopping.Metric"/>. Each takes 1 - 1 / folds of the
    /// time of a plain run, so with two folds Fit takes twice as long.
    /// </param>
    /// <param name="leaveOutSuspects">
    /// Whether images whose label confident learning suspects (Northcutt et al., JAIR 2021) are left out of the loss. Default: false.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">A parameter is out of its range.</exception>
    public static FloodingObjective CrossFitted(
        double weight = DefaultWeight, int folds = DefaultFolds, bool leaveOutSuspects = DefaultLeaveOutSuspects)
    {
        if (weight is not (>= 0 and <= 1))
            throw new ArgumentOutOfRangeException(nameof(weight), weight, "The weight must be from 0 to 1.");
        ArgumentOutOfRangeException.ThrowIfLessThan(folds, 2);
        return new CrossFittedObjective([weight], new Auxiliaries(folds), leaveOutSuspects);
    }

    /// <summary>
    /// As <see cref="CrossFitted(double, int, bool)"/>, with a run for each weight. They share the auxiliary networks, and validation data
    /// chooses the run that becomes the model, by <see cref="EarlyStopping.Metric"/>.
    /// </summary>
    /// <param name="weights">The weights to choose from, each in [0, 1], such as 0.3, 0.5, 0.7 and 1.</param>
    /// <param name="folds">As for <see cref="CrossFitted(double, int, bool)"/>.</param>
    /// <param name="leaveOutSuspects">As for <see cref="CrossFitted(double, int, bool)"/>.</param>
    /// <exception cref="ArgumentException">There are no weights.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A parameter is out of its range.</exception>
    public static FloodingObjective CrossFitted(
        IReadOnlyList<double> weights, int folds = DefaultFolds, bool leaveOutSuspects = DefaultLeaveOutSuspects)
    {
        ThrowUnlessShares(weights, nameof(weights));
        ArgumentOutOfRangeException.ThrowIfLessThan(folds, 2);
        return new CrossFittedObjective([.. weights.Distinct()], new Auxiliaries(folds), leaveOutSuspects);
    }

    /// <summary>
    /// As <see cref="CrossFitted(double, int, bool)"/>, but each auxiliary network is trained on all images, and the average of their
    /// predictions corrects the labels. Early in training, a network fits the correct labels and not yet the wrong ones, so the predictions
    /// of its best epoch correct them (self-distillation; Dong et al., "Distillation ≈ Early Stopping?", 2019). For labels of which some
    /// may be wrong. <see cref="TrainingOptions.FloodLevel"/> is not used.
    /// </summary>
    /// <param name="weight">The weight w of the prediction, in [0, 1]. Default: 0.7.</param>
    /// <param name="teachers">
    /// The number of auxiliary networks, at least 1. Default: 2. They differ in their initial weights and the order of the images. Each
    /// takes as long as a plain run, so with two teachers Fit takes three times as long. The model has one network, whatever their number.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">A parameter is out of its range.</exception>
    public static FloodingObjective SelfDistilled(double weight = DefaultWeight, int teachers = DefaultTeachers)
    {
        if (weight is not (>= 0 and <= 1))
            throw new ArgumentOutOfRangeException(nameof(weight), weight, "The weight must be from 0 to 1.");
        ArgumentOutOfRangeException.ThrowIfLessThan(teachers, 1);
        return new CrossFittedObjective([weight], new Auxiliaries(teachers, HoldOut: false), false);
    }

    /// <summary>
    /// As <see cref="IndividualFlood"/>, with a level for each sample (Bae et al., TMLR 2024): -ln((1 - gamma) p + gamma), where p is the
    /// probability that an auxiliary network, trained without the sample, gives to its label. <see cref="TrainingOptions.FloodLevel"/> is
    /// not used.
    /// </summary>
    /// <param name="gamma">
    /// Correction of the auxiliary predictions toward the labels, in [0, 1]. Default: 0.5. At 0, the level of a sample is its held-out
    /// loss; at 1, every level is 0. No level is above -ln(gamma), so the network learns to give a label, even a wrong one, a probability
    /// of about gamma or more: the limit is 0.69 at 0.5 and 3.0 at 0.05. Choose a small gamma for noisy labels.
    /// </param>
    /// <param name="folds">
    /// The number of auxiliary networks, at least 2. Default: 2. As for <see cref="CrossFitted(double, int, bool)"/>.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">A parameter is out of its range.</exception>
    public static FloodingObjective AdaFlood(double gamma = DefaultGamma, int folds = DefaultFolds)
    {
        if (gamma is not (>= 0 and <= 1))
            throw new ArgumentOutOfRangeException(nameof(gamma), gamma, "Gamma must be from 0 to 1.");
        ArgumentOutOfRangeException.ThrowIfLessThan(folds, 2);
        return new AdaFloodObjective([gamma], new Auxiliaries(folds));
    }

    /// <summary>
    /// As <see cref="AdaFlood(double, int)"/>, with a run for each gamma. They share the auxiliary networks, and validation data chooses
    /// the run that becomes the model, by <see cref="EarlyStopping.Metric"/>. The authors of AdaFlood choose gamma for each task.
    /// </summary>
    /// <param name="gammas">The values to choose from, each in [0, 1], such as 0.05, 0.1, 0.2 and 0.5.</param>
    /// <param name="folds">As for <see cref="AdaFlood(double, int)"/>.</param>
    /// <exception cref="ArgumentException">There are no values.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A parameter is out of its range.</exception>
    public static FloodingObjective AdaFlood(IReadOnlyList<double> gammas, int folds = DefaultFolds)
    {
        ThrowUnlessShares(gammas, nameof(gammas));
        ArgumentOutOfRangeException.ThrowIfLessThan(folds, 2);
        return new AdaFloodObjective([.. gammas.Distinct()], new Auxiliaries(folds));
    }

    private const double DefaultWeight = 0.7;
    private const double DefaultGamma = 0.5;
    private const int DefaultFolds = 2;
    private const int DefaultTeachers = 2;
    private const bool DefaultLeaveOutSuspects = false;

    private static void ThrowUnlessShares(IReadOnlyList<double> values, string parameter)
    {
        ArgumentNullException.ThrowIfNull(values, parameter);
        if (values.Count == 0)
            throw new ArgumentException("There must be at least one value.", parameter);
        foreach (var value in values)
            if (value is not (>= 0 and <= 1))
                throw new ArgumentOutOfRangeException(parameter, value, "Each value must be from 0 to 1.");
    }

    /// <summary>An objective that trains on what auxiliary networks predict for the training images.</summary>
    /// <param name="Values">The values of its parameter that validation data chooses among.</param>
    /// <param name="Predictors">The auxiliary networks.</param>
    private abstract record AuxiliaryObjective(double[] Values, Auxiliaries Predictors) : FloodingObjective
    {
        internal sealed override bool IsPlainAt(float floodLevel) => false;

        internal sealed override bool UsesFloodLevel => false;

        internal sealed override bool AllowsMixup => false;

        internal sealed override Auxiliaries? Auxiliaries => Predictors;

        internal sealed override IReadOnlyList<FloodingObjective> Candidates =>
            Values.Length == 1 ? [this] : [.. Values.Select(value => this with { Values = [value] })];

        private protected string Describe(string name, string parameter, string rest) => FormattableString.Invariant(
            $"{name}({parameter}: {string.Join(" or ", Values.Select(v => v.ToString(CultureInfo.InvariantCulture)))}, ")
            + FormattableString.Invariant($"{(Predictors.HoldOut ? "folds" : "teachers")}: {Predictors.Networks}{rest})");

        public virtual bool Equals(AuxiliaryObjective? other) =>
            other is not null && EqualityContract == other.EqualityContract && Predictors == other.Predictors
            && Values.SequenceEqual(other.Values);

        public override int GetHashCode() => HashCode.Combine(Values[0], Predictors);
    }

    private sealed record CrossFittedObjective(double[] Values, Auxiliaries Predictors, bool LeavesOutSuspects)
        : AuxiliaryObjective(Values, Predictors)
    {
        internal override Objective At(float floodLevel, ObjectiveFacts facts) =>
            SoftTargets.Corrected(facts, Values[0], Predictors, LeavesOutSuspects);

        private protected override string Describe() => Describe(
            Predictors.HoldOut ? nameof(CrossFitted) : nameof(SelfDistilled), "weight", LeavesOutSuspects ? ", without suspects" : "");
    }

    private sealed record AdaFloodObjective(double[] Values, Auxiliaries Predictors) : AuxiliaryObjective(Values, Predictors)
    {
        internal override Objective At(float floodLevel, ObjectiveFacts facts)
        {
            using var scope = torch.NewDisposeScope();
            var ofLabel = facts.AuxiliaryProbabilities(Predictors).gather(1, facts.Labels.unsqueeze(1)).squeeze(1);
            return new Objectives.AdaFlood(Objectives.AdaFlood.Levels(ofLabel, Values[0]).to(facts.Device).MoveToOuterDisposeScope());
        }

        private protected override string Describe() => Describe(nameof(AdaFlood), "gamma", "");
    }
}
