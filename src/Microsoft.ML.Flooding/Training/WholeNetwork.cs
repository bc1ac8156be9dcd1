using Microsoft.ML.Flooding.Images;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>The whole network.</summary>
internal sealed class WholeNetwork : NetworkPart
{
    private readonly nn.Module[] _frozen;

    /// <param name="weights">Of the network.</param>
    /// <param name="normalizer">From pixels to the network's input.</param>
    /// <param name="freezeBatchNorm">Whether batch norm keeps its statistics and parameters.</param>
    public WholeNetwork(WorkingWeights weights, Normalization.PixelNormalizer normalizer, bool freezeBatchNorm)
        : this(weights, normalizer, freezeBatchNorm ? [.. weights.Network.modules().Where(m => m is BatchNorm)] : [])
    {
    }

    private WholeNetwork(WorkingWeights weights, Normalization.PixelNormalizer normalizer, nn.Module[] frozen)
        : base(weights, normalizer, Trainable(weights, frozen)) => _frozen = frozen;

    public override void Train()
    {
        Weights.Network.train();
        foreach (var module in _frozen)
            module.eval();
    }

    public override Tensor Logits(Tensor images) => Weights.Network.forward(images.to(Weights.Precision)).to(ScalarType.Float32);

    private static IEnumerable<int> Trainable(WorkingWeights weights, nn.Module[] frozen)
    {
        var fixedParameters = frozen.SelectMany(m => m.parameters()).Select(p => p.Handle).ToHashSet();
        return Enumerable.Range(0, weights.Parameters.Length)
            .Where(i => weights.Parameters[i].requires_grad && !fixedParameters.Contains(weights.Parameters[i].Handle));
    }
}
