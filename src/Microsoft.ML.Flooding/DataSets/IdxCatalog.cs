using System.Globalization;
using Microsoft.ML.Flooding.DataSets;

namespace Microsoft.ML;

/// <summary>Loads IDX files, the format of MNIST and Fashion-MNIST.</summary>
public static class IdxCatalog
{
    /// <summary>
    /// Loads images and labels into a view with the columns Features (a vector of bytes, one for each value of a pixel) and Label (a key).
    /// </summary>
    /// <param name="catalog">The data catalog.</param>
    /// <param name="imagesPath">
    /// An IDX file of images (count x height x width, or count x height x width x channels), gzip-compressed or not.
    /// </param>
    /// <param name="labelsPath">An IDX file of labels, gzip-compressed or not.</param>
    /// <param name="labelNames">The names of the classes 0, 1, 2 and so on. Default: their numbers.</param>
    /// <exception cref="InvalidDataException">
    /// A file is malformed, or the two files have different lengths. The message names the file and the offset.
    /// </exception>
    /// <exception cref="ArgumentException">A label has no name in <paramref name="labelNames"/>.</exception>
    /// <remarks>This method reads the files immediately and keeps the data in memory.</remarks>
    public static IDataView LoadFromIdx(
        this DataOperationsCatalog catalog, string imagesPath, string labelsPath, IReadOnlyList<string>? labelNames = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(imagesPath);
        ArgumentNullException.ThrowIfNull(labelsPath);

        var images = IdxFile.Read(imagesPath, 3, 4);
        var labels = IdxFile.Read(labelsPath, 1).Values;
        if (images.Dimensions[0] != labels.Length)
            throw new InvalidDataException(
                $"'{imagesPath}' has {images.Dimensions[0]} images (the count at offset 4), but '{labelsPath}' has {labels.Length} "
                + "labels.");

        var largest = labels.Max();
        if (largest >= labelNames?.Count)
            throw new ArgumentException(
                $"'{labelsPath}' has the label {largest}, but {nameof(labelNames)} has {labelNames.Count} names "
                + $"(0 to {labelNames.Count - 1}).");

        var names = labelNames ?? [.. Enumerable.Range(0, largest + 1).Select(label => label.ToString(CultureInfo.InvariantCulture))];
        var length = images.Values.Length / labels.Length;
        return LabeledPixels.ToDataView(
            catalog, [.. labels.Select((label, i) => new LabeledPixels(images.Values.AsSpan(i * length, length).ToArray(), label))],
            images.Dimensions[1..], names);
    }
}
