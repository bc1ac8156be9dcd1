using System.Globalization;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;

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
    /// <exception cref="InvalidDataException">A file is malformed, or the two files have different lengths.</exception>
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
                $"'{imagesPath}' has {images.Dimensions[0]} images, but '{labelsPath}' has {labels.Length} labels.");

        var largest = labels.Max();
        if (largest >= labelNames?.Count)
            throw new ArgumentException(
                $"'{labelsPath}' has the label {largest}, but {nameof(labelNames)} has {labelNames.Count} names "
                + $"(0 to {labelNames.Count - 1}).");

        var names = labelNames ?? [.. Enumerable.Range(0, largest + 1).Select(label => label.ToString(CultureInfo.InvariantCulture))];
        var length = images.Values.Length / labels.Length;
        var rows = new Row[labels.Length];
        for (var i = 0; i < rows.Length; i++)
            rows[i] = new Row(images.Values.AsSpan(i * length, length).ToArray(), labels[i]);
        return catalog.LoadFromEnumerable(rows, Schema(images.Dimensions[1..], names));
    }

    private static SchemaDefinition Schema(int[] shape, IReadOnlyList<string> names)
    {
        var schema = SchemaDefinition.Create(typeof(Row));

        // The dimensions give the height and width of images that are not square; the size alone does not.
        schema[nameof(Row.Features)].ColumnType = new VectorDataViewType(NumberDataViewType.Byte, shape);
        schema[nameof(Row.Label)].ColumnType = new KeyDataViewType(typeof(uint), names.Count);
        schema[nameof(Row.Label)].AddAnnotation(
            "KeyValues",
            new VBuffer<ReadOnlyMemory<char>>(names.Count, [.. names.Select(name => name.AsMemory())]),
            new VectorDataViewType(TextDataViewType.Instance, names.Count));
        return schema;
    }

    /// <summary>ML.NET counts keys of .NET objects from 0, as the file does.</summary>
    private sealed class Row(byte[] features, uint label)
    {
        public byte[] Features { get; } = features;

        public uint Label { get; } = label;
    }
}
