using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// How a mini-batch is mixed with a shuffled copy of itself (Zhang et al., mixup: Beyond Empirical Risk Minimization, 2018). The loss of a
/// sample is mixed with the same share as its image: share * loss(output, label) + (1 - share) * loss(output, partner's label).
/// </summary>
/// <param name="Partners">The partner of each image: a permutation, int64 [N].</param>
/// <param name="Share">The share of the image itself in the mixed loss, a float32 scalar or [N] on the device.</param>
internal readonly record struct Mixup(Tensor Partners, Tensor Share)
{
    /// <summary>Draws the partners and a share from Beta(alpha, alpha).</summary>
    public static Mixup Draw(long count, double alpha, Device device, Generator generator)
    {
        using var scope = NewDisposeScope();
        // In float64, because a Gamma variate with a small alpha is often below the smallest float32, and 0 / 0 is NaN.
        var share = _sample_dirichlet(full([2], alpha, ScalarType.Float64), generator)[0].to(ScalarType.Float32).to(device);
        var partners = randperm(count, ScalarType.Int64, generator: generator).to(device);
        return new Mixup(partners.MoveToOuterDisposeScope(), share.MoveToOuterDisposeScope());
    }

    /// <summary>Mixes the images with their partners.</summary>
    public Tensor MixImages(Tensor images)
    {
        using var partners = images.index_select(0, Partners);
        return lerp(partners, images, Share);
    }

    /// <summary>
    /// Applies the weights of the images: each loss has the weight of the image whose label it uses. Returns how the losses are mixed, and
    /// the weights of the mixed samples.
    /// </summary>
    /// <param name="weights">float32 [N], above 0.</param>
    public (Mixup Mixup, Tensor Weights) Weigh(Tensor weights)
    {
        var mixed = lerp(weights.index_select(0, Partners), weights, Share);
        return (this with { Share = Share.mul(weights).div(mixed) }, mixed);
    }

    /// <summary>
    /// The mixup of some samples of the mini-batch in a row. <see cref="Partners"/> stay positions in the whole mini-batch.
    /// </summary>
    public Mixup Part(long start, long count) =>
        new(Partners.narrow(0, start, count), Share.dim() == 0 ? Share : Share.narrow(0, start, count));

    /// <summary>Mixes the losses for the labels with the losses for the partners' labels: one for each sample, or their means.</summary>
    public Tensor MixLosses(Tensor losses, Tensor partnerLosses) => lerp(partnerLosses, losses, Share);
}
