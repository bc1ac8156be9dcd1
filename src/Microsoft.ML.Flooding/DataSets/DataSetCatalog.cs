using Microsoft.ML.Flooding;
using Microsoft.ML.Flooding.DataSets;

namespace Microsoft.ML;

/// <summary>
/// Loads the data sets of the flooding paper from their original files, as <see cref="ImageDataSet.Download"/> puts them into a folder.
/// </summary>
/// <remarks>
/// The views have the columns Features (a vector of bytes, [height, width] or [height, width, channels]) and Label (a key with the names
/// of the classes). The methods read the files immediately and keep the data in memory.
/// </remarks>
public static class DataSetCatalog
{
    /// <summary>The names of MNIST's files without .gz: the images and labels of both parts.</summary>
    internal static readonly string[] IdxNames =
        ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

    private static readonly string[] Digits = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

    private static readonly string[] Clothes =
        ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];

    private static readonly string[] Hiragana = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"];

    private static readonly CifarFiles Cifar10 = new("cifar-10-binary.tar.gz", "cifar-10-batches-bin", "batches.meta.txt", LabelBytes: 1);

    private static readonly CifarFiles Cifar100 = new("cifar-100-binary.tar.gz", "cifar-100-binary", "fine_label_names.txt", LabelBytes: 2);

    /// <summary>Loads MNIST: handwritten digits, gray, 28 x 28 pixels.</summary>
    /// <param name="catalog">The data catalog.</param>
    /// <param name="folder">The folder of the IDX files, such as train-images-idx3-ubyte.gz; they may be uncompressed.</param>
    /// <param name="part">The training or the test images.</param>
    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    /// <exception cref="InvalidDataException">A file is malformed; the message names it and the offset.</exception>
    public static IDataView LoadFromMnist(
        this DataOperationsCatalog catalog, string folder, DataSetPart part = DataSetPart.Train) => LoadIdx(catalog, folder, part, Digits);

    /// <summary>Loads Fashion-MNIST: clothes, gray, 28 x 28 pixels.</summary>
    /// <inheritdoc cref="LoadFromMnist"/>
    public static IDataView LoadFromFashionMnist(
        this DataOperationsCatalog catalog, string folder, DataSetPart part = DataSetPart.Train) => LoadIdx(catalog, folder, part, Clothes);

    /// <summary>Loads Kuzushiji-MNIST: characters of old Japanese books, gray, 28 x 28 pixels. The classes have romanized names.</summary>
    /// <inheritdoc cref="LoadFromMnist"/>
    public static IDataView LoadFromKuzushijiMnist(
        this DataOperationsCatalog catalog, string folder, DataSetPart part = DataSetPart.Train) =>
        LoadIdx(catalog, folder, part, Hiragana);

    /// <summary>Loads CIFAR-10: photos of 10 classes, color, 32 x 32 pixels.</summary>
    /// <param name="catalog">The data catalog.</param>
    /// <param name="folder">
    /// The folder of the binary version: the archive cifar-10-binary.tar.gz, which need not be extracted, or its files.
    /// </param>
    /// <param name="part">The training or the test images.</param>
    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    /// <exception cref="InvalidDataException">A file is malformed; the message names it and the offset.</exception>
    public static IDataView LoadFromCifar10(
        this DataOperationsCatalog catalog, string folder, DataSetPart part = DataSetPart.Train)
    {
        Require(catalog, folder);
        string[] batches = part == DataSetPart.Train
            ? ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"]
            : ["test_batch.bin"];
        return Cifar10.Read(catalog, folder, batches);
    }

    /// <summary>Loads CIFAR-100: photos of 100 classes (the fine labels), color, 32 x 32 pixels.</summary>
    /// <param name="catalog">The data catalog.</param>
    /// <param name="folder">
    /// The folder of the binary version: the archive cifar-100-binary.tar.gz, which need not be extracted, or its files.
    /// </param>
    /// <param name="part">The training or the test images.</param>
    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    /// <exception cref="InvalidDataException">A file is malformed; the message names it and the offset.</exception>
    public static IDataView LoadFromCifar100(
        this DataOperationsCatalog catalog, string folder, DataSetPart part = DataSetPart.Train)
    {
        Require(catalog, folder);
        return Cifar100.Read(catalog, folder, [part == DataSetPart.Train ? "train.bin" : "test.bin"]);
    }

    /// <summary>Loads the cropped digits of SVHN: digits of house numbers, color, 32 x 32 pixels.</summary>
    /// <param name="catalog">The data catalog.</param>
    /// <param name="folder">The folder of the MATLAB files train_32x32.mat and test_32x32.mat.</param>
    /// <param name="part">The training or the test images.</param>
    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    /// <exception cref="InvalidDataException">A file is malformed; the message names it and the offset.</exception>
    public static IDataView LoadFromSvhn(
        this DataOperationsCatalog catalog, string folder, DataSetPart part = DataSetPart.Train)
    {
        Require(catalog, folder);
        var path = Path.Combine(folder, part == DataSetPart.Train ? "train_32x32.mat" : "test_32x32.mat");
        return File.Exists(path) ? SvhnFile.Read(catalog, path) : throw Missing(path);
    }

    private static IDataView LoadIdx(DataOperationsCatalog catalog, string folder, DataSetPart part, string[] names)
    {
        Require(catalog, folder);
        var first = part == DataSetPart.Train ? 0 : 2;
        var (images, labels) = (PathOf(folder, IdxNames[first]), PathOf(folder, IdxNames[first + 1]));
        var values = IdxFile.Read(labels, 1).Values;
        if (Array.FindIndex(values, label => label >= names.Length) is >= 0 and var wrong)
            throw new InvalidDataException(
                $"'{labels}', offset {8 + wrong}: the label is {values[wrong]}, but the classes are 0 to {names.Length - 1}.");
        return catalog.LoadFromIdx(images, labels, names);
    }

    private static string PathOf(string folder, string name)
    {
        var path = Path.Combine(folder, name);
        string[] candidates = [path + ".gz", path];
        return candidates.FirstOrDefault(File.Exists) ?? throw Missing(candidates[0]);
    }

    private static void Require(DataOperationsCatalog catalog, string folder)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(folder);
    }

    private static FileNotFoundException Missing(string path) => new(
        $"There is no file '{path}'. Download the data set with {nameof(ImageDataSet)}.{nameof(ImageDataSet.Download)}, or copy its "
        + "files to this folder.", path);
}
