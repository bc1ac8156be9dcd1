using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>The head alone: the layers before it work as in scoring, and no gradient is taken through them.</summary>
/// <param name="weights">Of the network.</param>
/// <param name="network">Their network.</param>
/// <param name="normalizer">From pixels to the network's input.</param>
/// <param name="takesFeatures">Whether the data holds the features in place of images.</param>
internal sealed class HeadOnly(WorkingWeights weights, Network network, Normalization.PixelNormalizer normalizer, bool takesFeatures)
    : NetworkPart(weights, normalizer, Enumerable.Range(0, weights.Names.Length).Where(i => IsOf(network.Head, weights.Parameters[i])))
{
    /// <summary>The whole network.</summary>
    public Network Network => network;

    /// <summary>Whether the data holds the features in place of images.</summary>
    public bool TakesFeatures => takesFeatures;

    public override int[]? Changed => Trained;

    public override void Train() => network.eval();

    public override Tensor Prepare(Tensor pixels) => TakesFeatures ? pixels : base.Prepare(pixels);

    public override Tensor Logits(Tensor images) => network.Head.forward(takesFeatures ? images : Features(images)).to(ScalarType.Float32);

    /// <summary>[N, F] of prepared images, in the network's precision.</summary>
    public Tensor Features(Tensor images)
    {
        using var _ = no_grad();
        return network.Features(new TensorOperators(training: false, null), images.to(Weights.Precision));
    }

    private static bool IsOf(Linear head, Tensor parameter) => head.parameters().Any(p => p.Handle == parameter.Handle);
}
