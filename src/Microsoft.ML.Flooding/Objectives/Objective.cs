using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>What training minimizes, as a function of the mini-batch's cross-entropy.</summary>
internal abstract class Objective
{
    /// <summary>The value to minimize for one mini-batch.</summary>
    public abstract Descent Of(BatchLoss loss);

    /// <summary>
    /// <see cref="Descent.Direction"/> for a mini-batch whose mean loss J is known and whose losses are in several places.
    /// </summary>
    /// <param name="mean">float32 scalar: <see cref="BatchLoss.Mean"/> of the whole mini-batch.</param>
    public virtual Tensor? DirectionAt(Tensor mean) => null;
}

/// <summary>Plain training: the mean loss of the mini-batch.</summary>
internal sealed class CrossEntropy : Objective
{
    public override Descent Of(BatchLoss loss) => new(loss.Weighted);
}

/// <summary>The result of an objective for one mini-batch.</summary>
/// <param name="Minimised">The scalar whose gradient is followed. Constant terms, which have no gradient, are left out.</param>
/// <param name="Balance">
/// float32 scalar in [-1, 1]: the share of the batch above its flood level minus the share below it. Null if the objective has no level.
/// </param>
/// <param name="Direction">float32 scalar that the gradient is multiplied by. Null means 1.</param>
internal readonly record struct Descent(Tensor Minimised, Tensor? Balance = null, Tensor? Direction = null);

/// <summary>
/// The cross-entropy of one mini-batch, the input of every objective. Each form is computed on first use: most objectives need only the
/// mean.
/// </summary>
/// <remarks>
/// <para>The weights w have a mean of 1 over the training set. A sum over the N samples of a mini-batch becomes the sum of w times each
/// value. It is divided by N, not by the sum of the batch's weights. On average over the batches, the gradient is then that of the weighted
/// mean over the training set, and a sample of weight 2 counts as much as two samples of weight 1, whatever else is in its batch.</para>
/// <para>The mean J that a flood compares with its level is a weighted mean, the sum of w l over the sum of w, as in PyTorch's
/// cross_entropy(weight=...). Otherwise a batch of samples with small weights would look like a batch with low losses.</para>
/// </remarks>
/// <param name="losses">The losses under a reduction: none or the mean.</param>
/// <param name="labels">int64 [N].</param>
/// <param name="rows">int64 [N].</param>
/// <param name="weights">float32 [N], above 0. Null means that all are 1.</param>
/// <param name="logits">float32 [N, K]. Null if the objective needs only losses.</param>
internal sealed class BatchLoss(
    Func<Reduction, Tensor> losses, Tensor labels, Tensor rows, Tensor? weights = null, Tensor? logits = null)
{
    private Tensor? _perSample;
    private Tensor? _mean;
    private Tensor? _weighted;

    /// <summary>float32 [N]: the loss of each sample.</summary>
    public Tensor PerSample => _perSample ??= losses(Reduction.None);

    /// <summary>float32 scalar: the weighted mean of the losses, J in the paper.</summary>
    public Tensor Mean => _mean ??= MeanWeight is { } weight ? Weighted.div(weight) : _perSample?.mean() ?? losses(Reduction.Mean);

    /// <summary>float32 scalar: the mean weight of the samples; null if all are 1.</summary>
    public Tensor? MeanWeight => weights?.mean();

    /// <summary>float32 scalar: the <see cref="Average"/> of the losses, which plain training minimizes.</summary>
    public Tensor Weighted => _weighted ??= weights is not null ? Average(PerSample) : Mean;

    /// <summary>int64 [N]: the class of each sample.</summary>
    public Tensor Labels { get; } = labels;

    /// <summary>int64 [N]: the row of each sample in the training set.</summary>
    public Tensor Rows { get; } = rows;

    /// <summary>float32 [N, K]: the logarithms of the predicted probabilities.</summary>
    public Tensor LogProbabilities =>
        (logits ?? throw new InvalidOperationException("This loss was created without logits.")).log_softmax(1);

    /// <summary>The same mini-batch with other losses.</summary>
    /// <param name="map">From the losses of the samples, float32 [N], to the new ones.</param>
    public BatchLoss Map(Func<Tensor, Tensor> map)
    {
        return new BatchLoss(Reduce, Labels, Rows, weights, logits);

        Tensor Reduce(Reduction reduction)
        {
            var mapped = map(PerSample);
            return reduction == Reduction.None ? mapped : mapped.mean();
        }
    }

    /// <summary>Multiplies values of the samples, [N], by their weights.</summary>
    public Tensor Weigh(Tensor values) => weights is null ? values : values.mul(weights);

    /// <summary>
    /// The sum of the weighted values divided by N. It equals their weighted mean only if the batch has the mean weight of the training
    /// set.
    /// </summary>
    public Tensor Average(Tensor values) => Weigh(values).mean();
}

/// <summary>The facts about a training run that an objective can compute its levels from.</summary>
/// <param name="ClassCounts">The number of training images of each class.</param>
/// <param name="Labels">int64 [rows of the set] on the CPU: the class of each row.</param>
/// <param name="TrainingRows">int64 [N] on the CPU: the rows that are trained on.</param>
/// <param name="AuxiliaryProbabilities">
/// Returns float32 [rows of the set, K] on the CPU: the probabilities that auxiliary networks give to the classes. They are 0 for rows that
/// are not trained on. The tensor stays the run's.
/// </param>
/// <param name="Device">The device of the levels.</param>
internal sealed record ObjectiveFacts(
    IReadOnlyList<long> ClassCounts, Tensor Labels, Tensor TrainingRows, Func<Auxiliaries, Tensor> AuxiliaryProbabilities, Device Device);

/// <summary>Networks that predict the training images before a run starts.</summary>
/// <param name="Networks">Their number, at least 1, and at least 2 if images are held out.</param>
/// <param name="HoldOut">
/// Whether each predicts a fold of the images and is trained on the others. If not, each is trained on all images and predicts them all,
/// and their predictions are averaged.
/// </param>
internal readonly record struct Auxiliaries(int Networks, bool HoldOut = true);
