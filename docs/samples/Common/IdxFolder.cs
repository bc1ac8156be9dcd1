using System.IO.Compression;
using Microsoft.ML;

namespace Common;

/// <summary>A folder with the four IDX files of MNIST, Kuzushiji-MNIST or Fashion-MNIST, compressed with gzip.</summary>
/// <param name="Folder">The path of the folder.</param>
/// <param name="ClassNames">The names of the classes 0, 1, 2, and so on. Default: their numbers.</param>
public sealed record IdxFolder(string Folder, IReadOnlyList<string>? ClassNames = null)
{
    private const int LabelHeaderLength = 8;

    private static readonly string[] FashionMnistClasses =
        ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];

    /// <summary>The part of Fashion-MNIST in this repository: 2,000 training and 1,000 test images, gray, 28 x 28 pixels.</summary>
    public static IdxFolder FashionMnist { get; } = new(Path.Combine(AppContext.BaseDirectory, "data"), FashionMnistClasses);

    /// <summary>Loads the training images into the columns Features (a vector of bytes) and Label (a key).</summary>
    /// <param name="context">The ML.NET context.</param>
    /// <param name="labelsFile">A file with other labels. Default: the labels of the folder.</param>
    public IDataView LoadTrainingSet(MLContext context, string? labelsFile = null) => Load(context, "train", labelsFile);

    /// <summary>Loads the test images into the columns Features (a vector of bytes) and Label (a key).</summary>
    public IDataView LoadTestSet(MLContext context) => Load(context, "t10k");

    /// <summary>Writes a changed copy of the training labels.</summary>
    /// <param name="destination">The new file.</param>
    /// <param name="change">Changes the labels, one byte for each image.</param>
    public void WriteTrainingLabels(string destination, Action<Span<byte>> change)
    {
        using var gzip = new GZipStream(File.OpenRead(PathOf("train-labels-idx1")), CompressionMode.Decompress);
        using var memory = new MemoryStream();
        gzip.CopyTo(memory);
        var content = memory.ToArray();
        change(content.AsSpan(LabelHeaderLength));
        File.WriteAllBytes(destination, content);
    }

    private IDataView Load(MLContext context, string part, string? labelsFile = null) =>
        context.Data.LoadFromIdx(PathOf($"{part}-images-idx3"), labelsFile ?? PathOf($"{part}-labels-idx1"), ClassNames);

    private string PathOf(string name) => Path.Combine(Folder, $"{name}-ubyte.gz");
}
