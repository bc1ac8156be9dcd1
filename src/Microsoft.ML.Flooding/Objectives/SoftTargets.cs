using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>
/// The mean cross-entropy of the predictions with a distribution for each sample. It cannot fall below <see cref="Floors"/>, the mean
/// entropy of the distributions.
/// </summary>
/// <param name="targets">float32 [rows of the set, K], on the device.</param>
/// <param name="counts">
/// float32 [rows of the set], on the device: how often a sample counts, 1 on average over the training set. Null means once.
/// </param>
internal sealed class SoftTargets(Tensor targets, Tensor? counts = null) : Objective
{
    public override Descent Of(BatchLoss loss)
    {
        var losses = targets.index_select(0, loss.Rows).mul(loss.LogProbabilities).sum(1).neg();
        return new(loss.Average(counts is null ? losses : losses.mul(counts.index_select(0, loss.Rows))));
    }

    /// <summary>The targets w p + (1 - w) y of predictions p and labels y.</summary>
    /// <param name="facts">The training set.</param>
    /// <param name="weight">w, in [0, 1].</param>
    /// <param name="auxiliaries">The networks that predict.</param>
    /// <param name="withoutSuspects">Whether samples that <see cref="ConfidentLearning"/> suspects do not count.</param>
    public static SoftTargets Corrected(ObjectiveFacts facts, double weight, Auxiliaries auxiliaries, bool withoutSuspects)
    {
        using var scope = NewDisposeScope();
        var probabilities = facts.AuxiliaryProbabilities(auxiliaries);
        var targets = Mix(probabilities, facts.Labels, weight).to(facts.Device).MoveToOuterDisposeScope();
        if (!withoutSuspects)
            return new SoftTargets(targets);
        var suspected = ConfidentLearning.Of(
            probabilities.index_select(0, facts.TrainingRows), facts.Labels.index_select(0, facts.TrainingRows)).Suspected;
        var kept = tensor(suspected.Select(s => s ? 0f : 1f).ToArray());
        // At least one image of each class with images is kept, so the mean is above 0.
        var counts = zeros([facts.Labels.shape[0]]).index_copy_(0, facts.TrainingRows, kept.div(kept.mean()));
        return new SoftTargets(targets, counts.to(facts.Device).MoveToOuterDisposeScope());
    }

    /// <summary>w p + (1 - w) y.</summary>
    /// <param name="probabilities">float32 [N, K]: p.</param>
    /// <param name="labels">int64 [N]: the classes of y.</param>
    /// <param name="weight">w, in [0, 1].</param>
    public static Tensor Mix(Tensor probabilities, Tensor labels, double weight) =>
        probabilities.Times(weight).scatter_add_(
            1, labels.unsqueeze(1), full([labels.shape[0], 1], 1 - weight, ScalarType.Float32));

    /// <summary>The flood level of each sample: the entropy of its target, float32 [N].</summary>
    /// <param name="targets">float32 [N, K].</param>
    public static Tensor Floors(Tensor targets) => special.entr(targets).sum(1);
}
