using Microsoft.ML.Flooding.Images;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>A pass of a network in evaluation mode over rows of a set, without gradients. The network stays in evaluation mode.</summary>
internal static class Inference
{
    private const int BatchSize = 256;

    /// <summary>Computes something of each batch and hands it on; nothing waits for the device.</summary>
    /// <param name="network">On <paramref name="device"/>.</param>
    /// <param name="compute">From the pixels of a batch, [B, H, W, C], to its results, [B, ...].</param>
    /// <param name="set">The images.</param>
    /// <param name="rows">int64 [N] on the CPU, each row once.</param>
    /// <param name="device">Where it computes.</param>
    /// <param name="checkAlive">Called before each batch; throws to cancel.</param>
    /// <param name="take">
    /// Called with each batch and its results, which are disposed of afterwards. A streamed set has an order of its own:
    /// <see cref="ImageBatch.Rows"/> says which rows a batch has.
    /// </param>
    public static void ForEachBatch(
        nn.Module network, Func<Tensor, Tensor> compute, ImageSet set, Tensor rows, Device device, Action checkAlive,
        Action<ImageBatch, Tensor> take)
    {
        using var _ = no_grad();
        network.eval();
        using var batches = set.Read(rows, BatchSize, device);
        while (true)
        {
            using var step = NewDisposeScope();
            if (!batches.MoveNext())
                break;
            checkAlive();
            take(batches.Current, compute(batches.Current.Pixels));
        }
    }

    /// <summary>Computes something of each row.</summary>
    /// <inheritdoc cref="ForEachBatch"/>
    /// <returns>The results in the order of <paramref name="rows"/>, [N, ...], on the device.</returns>
    public static Tensor Compute(
        nn.Module network, Func<Tensor, Tensor> compute, ImageSet set, Tensor rows, Device device, Action checkAlive)
    {
        using var scope = NewDisposeScope();
        var count = rows.shape[0];
        var positions = empty([set.Count], ScalarType.Int64).index_copy_(0, rows, arange(count)).to(device);
        Tensor? all = null;
        ForEachBatch(network, compute, set, rows, device, checkAlive, (batch, results) =>
        {
            all ??= empty([count, .. results.shape[1..]], results.dtype, device).MoveToOuterDisposeScope();
            all.index_copy_(0, positions.index_select(0, batch.Rows), results);
        });
        return all!.MoveToOuterDisposeScope();
    }

    /// <summary>The logits of each row.</summary>
    /// <param name="network">On <paramref name="device"/>.</param>
    /// <param name="precision">The type that it computes in.</param>
    /// <param name="set">The images.</param>
    /// <param name="rows">int64 [N] on the CPU, each row once.</param>
    /// <param name="normalizer">From pixels to the network's input.</param>
    /// <param name="device">Where it computes.</param>
    /// <param name="checkAlive">Called before each batch; throws to cancel.</param>
    /// <returns>float32 [N, K] and the labels, int64 [N], in the order of <paramref name="rows"/>, on the device.</returns>
    public static (Tensor Logits, Tensor Labels) Of(
        nn.Module<Tensor, Tensor> network, ScalarType precision, ImageSet set, Tensor rows, Normalization.PixelNormalizer normalizer,
        Device device, Action checkAlive)
    {
        Tensor Logits(Tensor pixels) => network.forward(normalizer.Apply(pixels).to(precision)).to(ScalarType.Float32);
        using var labels = set.Labels.index_select(0, rows);
        return (Compute(network, Logits, set, rows, device, checkAlive), labels.to(device, copy: true));
    }
}
