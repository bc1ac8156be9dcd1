using Microsoft.ML.Flooding.Images;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>The part of a network that steps train, and how the rest takes part.</summary>
internal abstract class NetworkPart
{
    private protected NetworkPart(WorkingWeights weights, Normalization.PixelNormalizer normalizer, IEnumerable<int> trained)
    {
        Weights = weights;
        Normalizer = normalizer;
        Trained = [.. trained];
    }

    /// <summary>Numbers of the trained parameters in <see cref="WorkingWeights.Parameters"/>.</summary>
    public int[] Trained { get; }

    /// <summary>Numbers of the <see cref="WorkingWeights.All"/> that steps change; null: they may change any.</summary>
    public virtual int[]? Changed => null;

    /// <summary>From pixels to the network's input.</summary>
    public Normalization.PixelNormalizer Normalizer { get; }

    private protected WorkingWeights Weights { get; }

    /// <summary>Brings the network into the mode that it is trained in.</summary>
    public abstract void Train();

    /// <summary>From what the batches of the data hold, [N, H, W, C], to what <see cref="Logits"/> takes.</summary>
    public virtual Tensor Prepare(Tensor pixels) => Normalizer.Apply(pixels);

    /// <summary>float32 [N, K] of prepared images.</summary>
    public abstract Tensor Logits(Tensor images);
}
