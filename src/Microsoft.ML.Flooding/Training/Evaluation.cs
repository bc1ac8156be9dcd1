using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>Mean cross-entropy and accuracy of a network on a set.</summary>
internal readonly record struct Evaluation(double Loss, double Accuracy)
{
    /// <summary>Runs the network in evaluation mode over the rows; read from the device once.</summary>
    public static Evaluation Of(WorkingWeights weights, NetworkPart part, ImageSet set, Tensor rows, Device device, Action checkAlive)
    {
        using var scope = NewDisposeScope();
        var losses = zeros([], ScalarType.Float64, device);
        var correct = zeros([], ScalarType.Int64, device);
        Tensor Logits(Tensor pixels) => part.Logits(part.Prepare(pixels));
        Inference.ForEachBatch(weights.Network, Logits, set, rows, device, checkAlive, (batch, logits) =>
        {
            losses.PlusInPlace(nn.functional.cross_entropy(logits, batch.Labels, reduction: nn.Reduction.Sum));
            correct.PlusInPlace(logits.argmax(1).eq(batch.Labels).sum());
        });
        var count = rows.shape[0];
        return new Evaluation(losses.item<double>() / count, (double)correct.item<long>() / count);
    }
}
