using Common;
using Microsoft.ML;

namespace FashionMnist;

/// <summary>The images of Fashion-MNIST in this repository: 2,000 of the training set and 1,000 of the test set.</summary>
/// <param name="Train">1,800 images for training.</param>
/// <param name="Validation">200 images of the training set that no run trains on. They choose the best epoch.</param>
/// <param name="Test">1,000 images for the reported figures. No choice depends on them.</param>
internal sealed record Images(IDataView Train, IDataView Validation, IDataView Test)
{
    private const int TrainingCount = 1800;
    private const int ClassCount = 10;

    /// <summary>Loads the images. A labels file, if given, replaces the training labels; the test set keeps its true labels.</summary>
    public static Images Load(MLContext context, string? trainingLabels = null)
    {
        var train = IdxFolder.FashionMnist.LoadTrainingSet(context, trainingLabels);

        // The images are in no particular order, so the last ones are as good a sample as any.
        return new Images(
            context.Data.TakeRows(train, TrainingCount), context.Data.SkipRows(train, TrainingCount),
            IdxFolder.FashionMnist.LoadTestSet(context));
    }

    /// <summary>Writes the training labels with a share of them changed to another class. Every other class is equally likely.</summary>
    public static void FlipTrainingLabels(string destination, double share) =>
        IdxFolder.FashionMnist.WriteTrainingLabels(destination, labels =>
        {
            var random = new Random(0);
            var rows = Enumerable.Range(0, labels.Length).ToArray();
            random.Shuffle(rows);
            foreach (var row in rows[..(int)(share * rows.Length)])
                labels[row] = (byte)((labels[row] + random.Next(1, ClassCount)) % ClassCount);
        });
}
