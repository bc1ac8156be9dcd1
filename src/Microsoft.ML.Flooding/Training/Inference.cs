using Microsoft.ML.Flooding.Images;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>A network's logits over rows of a set.</summary>
internal static class Inference
{
    private const int BatchSize = 256;

    /// <summary>Runs the network in evaluation mode; nothing waits for the device.</summary>
    /// <param name="network">On <paramref name="device"/>.</param>
    /// <param name="precision">The type that it computes in.</param>
    /// <param name="set">The images.</param>
    /// <param name="rows">int64 [N] on the CPU.</param>
    /// <param name="normalizer">From pixels to the network's input.</param>
    /// <param name="device">Where it computes.</param>
    /// <param name="checkAlive">Called before each batch; throws to cancel.</param>
    /// <returns>float32 [N, K] and the labels, int64 [N], in the order of the rows, on the device.</returns>
    public static (Tensor Logits, Tensor Labels) Of(
        nn.Module<Tensor, Tensor> network, ScalarType precision, ImageSet set, Tensor rows, Normalization.PixelNormalizer normalizer,
        Device device, Action checkAlive)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        network.eval();
        var logits = new List<Tensor>();
        var labels = new List<Tensor>();
        using var batches = set.Read(rows, BatchSize, device);
        while (true)
        {
            using var step = NewDisposeScope();
            if (!batches.MoveNext())
                break;
            checkAlive();
            var batch = batches.Current;
            logits.Add(network.forward(normalizer.Apply(batch.Pixels).to(precision)).to(ScalarType.Float32).MoveToOuterDisposeScope());
            labels.Add(batch.Labels.MoveToOuterDisposeScope());
        }
        network.train();
        return (cat(logits).MoveToOuterDisposeScope(), cat(labels).MoveToOuterDisposeScope());
    }
}
