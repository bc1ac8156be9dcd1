using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>Runs a network in evaluation mode on rows of a set, without gradients. The network stays in evaluation mode.</summary>
internal static class Inference
{
    /// <summary>Calls a function with the results of each batch. Does not wait for the device.</summary>
    /// <param name="network">A network of the set's images, on <paramref name="device"/>.</param>
    /// <param name="compute">Computes the results of a batch, [B, ...], from its pixels, [B, H, W, C].</param>
    /// <param name="set">The images.</param>
    /// <param name="rows">int64 [N] on the CPU, each row once.</param>
    /// <param name="device">The device to compute on.</param>
    /// <param name="checkAlive">Called before each batch; throws to cancel.</param>
    /// <param name="take">
    /// Called with each batch and its results, which are then disposed of. A streamed set reads rows in its own order;
    /// <see cref="ImageBatch.Rows"/> has the rows of a batch.
    /// </param>
    public static void ForEachBatch(
        nn.Module network, Func<Tensor, Tensor> compute, ImageSet set, Tensor rows, Device device, Action checkAlive,
        Action<ImageBatch, Tensor> take)
    {
        using var _ = no_grad();
        network.eval();
        var precision = network.parameters().FirstOrDefault()?.dtype ?? ScalarType.Float32;
        using var batches = set.Read(rows, InferenceBatch.Of(network, set.Shape, precision, device), device);
        while (true)
        {
            using var step = NewDisposeScope();
            if (!batches.MoveNext())
                break;
            checkAlive();
            take(batches.Current, compute(batches.Current.Pixels));
        }
    }

    /// <summary>Computes results for each row.</summary>
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

    /// <summary>Computes the logits of each row.</summary>
    /// <param name="network">A network on <paramref name="device"/>.</param>
    /// <param name="precision">The type that it computes in.</param>
    /// <param name="set">The images.</param>
    /// <param name="rows">int64 [N] on the CPU, each row once.</param>
    /// <param name="normalizer">From pixels to the network's input.</param>
    /// <param name="device">The device to compute on.</param>
    /// <param name="checkAlive">Called before each batch; throws to cancel.</param>
    /// <returns>float32 [N, K] and the labels, int64 [N], in the order of <paramref name="rows"/>, on the device.</returns>
    public static (Tensor Logits, Tensor Labels) ComputeLogits(
        nn.Module<Tensor, Tensor> network, ScalarType precision, ImageSet set, Tensor rows, Normalization.PixelNormalizer normalizer,
        Device device, Action checkAlive)
    {
        Tensor Logits(Tensor pixels) => network.forward(normalizer.Apply(pixels).to(precision)).to(ScalarType.Float32);
        using var labels = set.Labels.index_select(0, rows);
        return (Compute(network, Logits, set, rows, device, checkAlive), labels.to(device, copy: true));
    }
}
