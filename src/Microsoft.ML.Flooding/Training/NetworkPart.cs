using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>The part of a network that steps train. It decides how the other layers run.</summary>
internal abstract class NetworkPart
{
    private protected NetworkPart(WorkingWeights weights, Normalization.PixelNormalizer normalizer, IEnumerable<int> trained)
    {
        Weights = weights;
        Normalizer = normalizer;
        Trained = [.. trained];
    }

    /// <summary>The weights of the whole network.</summary>
    public WorkingWeights Weights { get; }

    /// <summary>Indices of the trained parameters in <see cref="WorkingWeights.Parameters"/>.</summary>
    public int[] Trained { get; }

    /// <summary>Indices in <see cref="WorkingWeights.All"/> of the values that steps can change; null: all of them.</summary>
    public virtual int[]? Changed => null;

    /// <summary>From pixels to the network's input.</summary>
    public Normalization.PixelNormalizer Normalizer { get; }

    /// <summary>Puts the network into the mode that it is trained in.</summary>
    public abstract void Train();

    /// <summary>Converts what a batch of the data holds, [N, H, W, C], to the input of <see cref="Logits"/>.</summary>
    public virtual Tensor Prepare(Tensor pixels) => Normalizer.Apply(pixels);

    /// <summary>The logits of prepared images, float32 [N, K].</summary>
    public abstract Tensor Logits(Tensor images);
}

/// <summary>The whole network.</summary>
internal sealed class WholeNetwork : NetworkPart
{
    private readonly nn.Module[] _frozen;

    /// <param name="weights">The network's weights.</param>
    /// <param name="normalizer">From pixels to the network's input.</param>
    /// <param name="freezeBatchNorm">Whether batch norm keeps its statistics and parameters.</param>
    public WholeNetwork(WorkingWeights weights, Normalization.PixelNormalizer normalizer, bool freezeBatchNorm)
        : this(weights, normalizer, freezeBatchNorm ? [.. weights.Network.modules().Where(m => m is BatchNorm)] : [])
    {
    }

    private WholeNetwork(WorkingWeights weights, Normalization.PixelNormalizer normalizer, nn.Module[] frozen)
        : base(weights, normalizer, FindTrainable(weights, frozen)) => _frozen = frozen;

    public override void Train()
    {
        Weights.Network.train();
        foreach (var module in _frozen)
            module.eval();
    }

    public override Tensor Logits(Tensor images) => Weights.Network.forward(images.to(Weights.Precision)).to(ScalarType.Float32);

    private static IEnumerable<int> FindTrainable(WorkingWeights weights, nn.Module[] frozen)
    {
        var fixedParameters = frozen.SelectMany(m => m.parameters()).Select(p => p.Handle).ToHashSet();
        return Enumerable.Range(0, weights.Parameters.Length)
            .Where(i => weights.Parameters[i].requires_grad && !fixedParameters.Contains(weights.Parameters[i].Handle));
    }
}

/// <summary>The head alone: the other layers run as in scoring, and no gradient is computed for them.</summary>
/// <param name="weights">The network's weights.</param>
/// <param name="network">The network of these weights.</param>
/// <param name="normalizer">From pixels to the network's input.</param>
/// <param name="takesFeatures">Whether the data holds features instead of images.</param>
internal sealed class HeadOnly(WorkingWeights weights, Network network, Normalization.PixelNormalizer normalizer, bool takesFeatures)
    : NetworkPart(weights, normalizer, Enumerable.Range(0, weights.Names.Length).Where(i => IsOf(network.Head, weights.Parameters[i])))
{
    /// <summary>The whole network.</summary>
    public Network Network => network;

    /// <summary>Whether the data holds features instead of images.</summary>
    public bool TakesFeatures => takesFeatures;

    public override int[]? Changed => Trained;

    public override void Train() => network.eval();

    public override Tensor Prepare(Tensor pixels) => TakesFeatures ? pixels.flatten(1).to(Weights.Precision) : base.Prepare(pixels);

    public override Tensor Logits(Tensor images) =>
        network.Head.forward(takesFeatures ? images : Features(images)).to(ScalarType.Float32);

    /// <summary>The features of prepared images, [N, F], in the network's precision.</summary>
    public Tensor Features(Tensor images)
    {
        using var _ = no_grad();
        return network.Features(new TensorOperators(training: false, null), images.to(Weights.Precision));
    }

    private static bool IsOf(Linear head, Tensor parameter) => head.parameters().Any(p => p.Handle == parameter.Handle);
}
