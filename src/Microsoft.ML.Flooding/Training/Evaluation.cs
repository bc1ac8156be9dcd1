using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>Mean cross-entropy and accuracy of a network on a set; weighted means if its images have weights.</summary>
internal readonly record struct Evaluation(double Loss, double Accuracy)
{
    /// <summary>Runs the network in evaluation mode on the rows. Reads from the device once.</summary>
    public static Evaluation Measure(
        NetworkPart part, ImageSet set, Tensor rows, Tensor? exampleWeights, Device device, Action checkAlive)
    {
        using var scope = NewDisposeScope();
        var losses = zeros([], ScalarType.Float64, device);
        var correct = zeros([], exampleWeights is null ? ScalarType.Int64 : ScalarType.Float64, device);
        var ofRow = exampleWeights?.to(device);
        Tensor Logits(Tensor pixels) => part.Logits(part.Prepare(pixels));
        Inference.ForEachBatch(part.Weights.Network, Logits, set, rows, device, checkAlive, (batch, logits) =>
        {
            var isCorrect = logits.argmax(1).eq(batch.Labels);
            if (ofRow is null)
            {
                losses.PlusInPlace(nn.functional.cross_entropy(logits, batch.Labels, reduction: nn.Reduction.Sum));
                correct.PlusInPlace(isCorrect.sum());
            }
            else
            {
                var counts = ofRow.index_select(0, batch.Rows).to(ScalarType.Float64);
                losses.PlusInPlace(nn.functional.cross_entropy(logits, batch.Labels, reduction: nn.Reduction.None).mul(counts).sum());
                correct.PlusInPlace(isCorrect.mul(counts).sum());
            }
        });
        var total = exampleWeights?.index_select(0, rows).sum(ScalarType.Float64).item<double>() ?? rows.shape[0];
        return new Evaluation(losses.item<double>() / total, correct.to(ScalarType.Float64).item<double>() / total);
    }
}
