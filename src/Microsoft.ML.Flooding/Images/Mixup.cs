using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// How a mini-batch is mixed with a shuffled copy of itself (Zhang et al., mixup: Beyond Empirical Risk Minimization, 2018). A sample's
/// loss is mixed as its image is: share * loss(output, label) + (1 - share) * loss(output, label of the partner).
/// </summary>
/// <param name="Partners">Every image's partner: a permutation, int64 [N].</param>
/// <param name="Share">The share of the image itself in the mixed loss, a float32 scalar or [N] on the device.</param>
internal readonly record struct Mixup(Tensor Partners, Tensor Share)
{
    /// <summary>Draws the partners and a share from Beta(alpha, alpha).</summary>
    public static Mixup Draw(long count, double alpha, Device device, Generator generator)
    {
        using var scope = NewDisposeScope();
        // In float64, because a Gamma variate of a small alpha is often below the smallest float32, and 0 / 0 is no share.
        var share = _sample_dirichlet(full([2], alpha, ScalarType.Float64), generator)[0].to(ScalarType.Float32).to(device);
        var partners = randperm(count, ScalarType.Int64, generator: generator).to(device);
        return new Mixup(partners.MoveToOuterDisposeScope(), share.MoveToOuterDisposeScope());
    }

    /// <summary>The images mixed with their partners.</summary>
    public Tensor MixImages(Tensor images)
    {
        using var partners = images.index_select(0, Partners);
        return lerp(partners, images, Share);
    }

    /// <summary>
    /// The mixture of losses, and the weights of the mixed samples, for images that have weights: each loss counts by the weight of the
    /// image whose label it is.
    /// </summary>
    /// <param name="weights">float32 [N], above 0.</param>
    public (Mixup Mixup, Tensor Weights) Weigh(Tensor weights)
    {
        var mixed = lerp(weights.index_select(0, Partners), weights, Share);
        return (this with { Share = Share.mul(weights).div(mixed) }, mixed);
    }

    /// <summary>The mixed losses, of each sample or their mean, of those of the labels and those of the partners' labels.</summary>
    public Tensor MixLosses(Tensor losses, Tensor partnerLosses) => lerp(partnerLosses, losses, Share);
}
