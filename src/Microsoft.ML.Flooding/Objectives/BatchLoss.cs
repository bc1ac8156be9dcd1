using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>The cross-entropy of one mini-batch, before any objective reshapes it. Computed in the form that is asked for: most objectives need the mean alone.</summary>
/// <remarks>
/// With weights w of mean 1 over the training set, a sum over the N samples of a mini-batch becomes one of w times each, and is still
/// divided by N, not by the batch's own sum of weights: the gradient is then, on average over the batches, that of the training set's
/// weighted mean, and a sample of weight 2 pulls as two of weight 1 do, whatever else is in its batch. The mean J that a flood is about is
/// a mean: sum of w l over sum of w, as of cross_entropy(weight=...) in PyTorch, so that a batch of light samples is not taken for one of
/// low losses.
/// </remarks>
/// <param name="losses">The losses under a reduction: none, or the mean.</param>
/// <param name="labels">int64 [N].</param>
/// <param name="rows">int64 [N].</param>
/// <param name="weights">float32 [N], above 0; null: all are 1.</param>
internal sealed class BatchLoss(Func<Reduction, Tensor> losses, Tensor labels, Tensor rows, Tensor? weights = null)
{
    private Tensor? _perSample;
    private Tensor? _mean;
    private Tensor? _weighted;

    /// <summary>float32 [N]: one loss a sample.</summary>
    public Tensor PerSample => _perSample ??= losses(Reduction.None);

    /// <summary>float32 scalar: their weighted mean, the J of the paper.</summary>
    public Tensor Mean => _mean ??= weights is not null ? Weighted.div(weights.mean()) : _perSample?.mean() ?? losses(Reduction.Mean);

    /// <summary>float32 scalar: the <see cref="Average"/> of the losses, which plain training follows.</summary>
    public Tensor Weighted => _weighted ??= weights is not null ? Average(PerSample) : Mean;

    /// <summary>int64 [N]: the class of each sample.</summary>
    public Tensor Labels { get; } = labels;

    /// <summary>int64 [N]: the row of each sample in the training set.</summary>
    public Tensor Rows { get; } = rows;

    /// <summary>Values of the samples, [N], times their weights.</summary>
    public Tensor Weigh(Tensor values) => weights is null ? values : values.mul(weights);

    /// <summary>
    /// The sum of the weighted values over N: not their weighted mean, unless the batch has the mean weight of the training set.
    /// </summary>
    public Tensor Average(Tensor values) => Weigh(values).mean();
}
