using System.IO.Compression;
using Microsoft.ML;

namespace FashionMnist;

/// <summary>The real images that come with the sample: 2,000 of Fashion-MNIST's training set, 1,000 of its test set.</summary>
/// <param name="Train">1,800 images to train on.</param>
/// <param name="Validation">200 images of the training set that no run trains on; early stopping watches them.</param>
/// <param name="Test">1,000 images for the figures that are reported; they choose nothing.</param>
internal sealed record Images(IDataView Train, IDataView Validation, IDataView Test)
{
    private const int TrainingCount = 1800;
    private const int LabelHeaderLength = 8;

    private static readonly string[] Classes =
        ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];

    /// <summary>Loads the images, with other labels for the training set where a file is given. The test set keeps its true ones.</summary>
    public static Images Load(MLContext context, string? trainingLabels = null)
    {
        var train = context.Data.LoadFromIdx(DataFile("train-images-idx3-ubyte.gz"), trainingLabels ?? DataFile("train-labels-idx1-ubyte.gz"), Classes);
        var test = context.Data.LoadFromIdx(DataFile("t10k-images-idx3-ubyte.gz"), DataFile("t10k-labels-idx1-ubyte.gz"), Classes);
        // The images are in no order, so that the last ones are as good a sample as any.
        return new Images(context.Data.TakeRows(train, TrainingCount), context.Data.SkipRows(train, TrainingCount), test);
    }

    /// <summary>Writes the training labels with a share of them replaced by another class, each other class being as likely.</summary>
    public static void FlipTrainingLabels(string destination, double share)
    {
        using var gzip = new GZipStream(File.OpenRead(DataFile("train-labels-idx1-ubyte.gz")), CompressionMode.Decompress);
        using var file = new MemoryStream();
        gzip.CopyTo(file);
        var bytes = file.ToArray();
        var labels = bytes.AsSpan(LabelHeaderLength);
        var random = new Random(0);
        var rows = Enumerable.Range(0, labels.Length).ToArray();
        random.Shuffle(rows);
        foreach (var row in rows[..(int)(share * rows.Length)])
            labels[row] = (byte)((labels[row] + random.Next(1, Classes.Length)) % Classes.Length);
        File.WriteAllBytes(destination, bytes);
    }

    private static string DataFile(string name) => Path.Combine(AppContext.BaseDirectory, "data", name);
}
