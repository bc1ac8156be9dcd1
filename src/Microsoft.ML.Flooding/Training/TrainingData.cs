using Microsoft.ML.Flooding.Images;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>The rows to train on and, if there are any, the rows to validate on.</summary>
/// <param name="Training">The set of the training rows.</param>
/// <param name="TrainingRows">int64 [N] on the CPU: rows of <paramref name="Training"/>.</param>
/// <param name="Validation">The set of the validation rows. It is <paramref name="Training"/> if a fraction of that was set aside.</param>
/// <param name="ValidationRows">int64 [M] on the CPU; null without validation.</param>
internal sealed record TrainingData(ImageSet Training, Tensor TrainingRows, ImageSet? Validation, Tensor? ValidationRows)
{
    /// <summary>
    /// The weight of each image in training: float32 [rows of <see cref="Training"/>] on the CPU, with mean 1 over the training rows. Null
    /// if all weights are equal.
    /// </summary>
    public Tensor? Weights { get; init; }

    /// <summary>As <see cref="Weights"/>, for <see cref="Validation"/> and its rows.</summary>
    public Tensor? ValidationWeights { get; init; }

    /// <summary>Splits images into training and validation rows. Rows of weight 0 are in neither part.</summary>
    /// <param name="images">The images to train on.</param>
    /// <param name="validation">The images to validate on; null: a fraction of <paramref name="images"/> is set aside.</param>
    /// <param name="fraction">The fraction, in [0, 1).</param>
    /// <param name="classWeights">Multiplied by the weights that the images have.</param>
    /// <param name="classes">The number of classes of the label column.</param>
    /// <param name="seed">The seed of the split.</param>
    /// <exception cref="InvalidOperationException">The class weights are for another number of classes.</exception>
    public static TrainingData Split(
        ImageSet images, ImageSet? validation, double fraction, ClassWeights classWeights, int classes, long seed)
    {
        var usable = Usable(images);
        var (training, held) = validation is null ? HoldOut() : (usable, Usable(validation));
        var ofClass = tensor(classWeights.For(Totals(training)));
        var weights = WeightsOf(images, ofClass);
        return held.shape[0] == 0
            ? new TrainingData(images, training, null, null) { Weights = Scale(weights, training) }
            : new TrainingData(images, training, validation ?? images, held)
            {
                Weights = Scale(weights, training),
                ValidationWeights = Scale(validation is null ? weights : WeightsOf(validation, ofClass), held),
            };

        Tensor Usable(ImageSet set) =>
            WeightsOf(set, tensor(classWeights.For([.. Enumerable.Repeat(1.0, classes)]))).nonzero().squeeze(1);

        (Tensor, Tensor) HoldOut()
        {
            using var generator = RandomStreams.Create(seed, RandomStreams.Purpose.ValidationSplit, 0);
            return usable.shape[0] > 0 ? new StratifiedSplit(images, usable, generator).Hold(fraction) : (usable, usable);
        }

        double[] Totals(Tensor rows)
        {
            var own = images.Weights?.index_select(0, rows).to(ScalarType.Float64) ?? ones(rows.shape[0], ScalarType.Float64);
            // Without rows, bincount returns integers whatever the weights.
            return [.. bincount(images.Labels.index_select(0, rows), own, classes).to(ScalarType.Float64).data<double>()];
        }
    }

    private static Tensor WeightsOf(ImageSet set, Tensor ofClass)
    {
        var weights = ofClass.index_select(0, set.Labels);
        return set.Weights is { } own ? weights.mul(own.to(ScalarType.Float64)) : weights;
    }

    /// <summary>Null if all weights are equal: training then has the same bits as without weights.</summary>
    private static Tensor? Scale(Tensor weights, Tensor rows)
    {
        var used = weights.index_select(0, rows);
        return used.shape[0] == 0 || used.eq(used[0]).all().item<bool>() ? null : weights.div(used.mean()).to(ScalarType.Float32);
    }
}
