using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>The cross-entropy of one mini-batch, before any objective reshapes it. Computed in the form that is asked for: most objectives need the mean alone.</summary>
/// <param name="losses">The losses under a reduction: none, or the mean.</param>
/// <param name="labels">int64 [N].</param>
/// <param name="rows">int64 [N].</param>
internal sealed class BatchLoss(Func<Reduction, Tensor> losses, Tensor labels, Tensor rows)
{
    private Tensor? _perSample;
    private Tensor? _mean;

    /// <summary>float32 [N]: one loss a sample.</summary>
    public Tensor PerSample => _perSample ??= losses(Reduction.None);

    /// <summary>float32 scalar: their mean, the J of the paper.</summary>
    public Tensor Mean => _mean ??= _perSample?.mean() ?? losses(Reduction.Mean);

    /// <summary>int64 [N]: the class of each sample.</summary>
    public Tensor Labels { get; } = labels;

    /// <summary>int64 [N]: the row of each sample in the training set.</summary>
    public Tensor Rows { get; } = rows;
}
