using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>How good a network is on a set.</summary>
/// <param name="Loss">The mean cross-entropy; a weighted mean if the images have weights.</param>
/// <param name="Accuracy">The share of images that are classified correctly, weighted in the same way.</param>
/// <param name="OwnMetric">The value of the user's metric; null without one, or if the loss is not finite.</param>
/// <param name="Count">The number of images; 0 if it is not known.</param>
internal readonly record struct Evaluation(double Loss, double Accuracy, double? OwnMetric = null, long Count = 0)
{
    /// <summary>Runs the network in evaluation mode on the rows. Reads from the device once. Ranks share the rows.</summary>
    public static Evaluation Measure(
        NetworkPart part, ImageSet set, Tensor rows, Tensor? exampleWeights, Device device, Action checkAlive,
        ValidationMetric? ownMetric = null, Ranks? ranks = null)
    {
        using var scope = NewDisposeScope();
        // A share without rows has no results.
        if (rows.shape[0] < ranks?.Size)
            ranks = null;
        var losses = zeros([], ScalarType.Float64, device);
        var correct = zeros([], exampleWeights is null ? ScalarType.Int64 : ScalarType.Float64, device);
        var ofRow = exampleWeights?.to(device);
        List<Tensor> probabilities = [];
        List<Tensor> labels = [];
        Tensor Logits(Tensor pixels) => part.Logits(part.Prepare(pixels));
        nn.Module network = part is HeadOnly { TakesFeatures: true } head ? head.Network.Head : part.Weights.Network;
        Inference.ForEachBatch(network, Logits, set, ranks?.ShareOf(rows) ?? rows, device, checkAlive, (batch, logits) =>
        {
            if (ownMetric is not null)
            {
                probabilities.Add(logits.softmax(1).MoveToOuterDisposeScope());
                labels.Add(batch.Labels.clone().MoveToOuterDisposeScope());
            }
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
        double[] sums = [losses.item<double>(), correct.to(ScalarType.Float64).item<double>()];
        var loss = (ranks?.Sum(sums) ?? sums)[0] / total;
        // The metric of a network that diverged means nothing.
        double? own = null;
        if (double.IsFinite(loss) && ownMetric is not null)
        {
            var (predicted, actual) = (cat(probabilities).to(CPU), cat(labels).to(CPU));
            own = ranks is null
                ? ownMetric.Compute(predicted, actual)
                : ownMetric.Compute(
                    ranks.Gather(predicted, rows.shape[0]),
                    ranks.Gather(actual.to(ScalarType.Float32), rows.shape[0]).to(ScalarType.Int64));
        }
        return new Evaluation(loss, sums[1] / total, own, rows.shape[0]);
    }
}
