using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.DataSets;

/// <summary>A row of a data set. ML.NET counts keys of .NET objects from 0, as the files do.</summary>
internal sealed class LabeledPixels(byte[] features, uint label)
{
    /// <summary>The values of the pixels, in height x width x channels order.</summary>
    public byte[] Features { get; } = features;

    public uint Label { get; } = label;

    /// <summary>A view of rows, which stays in memory.</summary>
    /// <param name="catalog">The data catalog.</param>
    /// <param name="rows">The rows.</param>
    /// <param name="shape">[height, width] or [height, width, channels].</param>
    /// <param name="names">The names of the classes, by label.</param>
    public static IDataView ToDataView(
        DataOperationsCatalog catalog, IReadOnlyList<LabeledPixels> rows, int[] shape, IReadOnlyList<string> names)
    {
        var schema = SchemaDefinition.Create(typeof(LabeledPixels));

        // The dimensions give the height and width of images that are not square; the size alone does not.
        schema[nameof(Features)].ColumnType = new VectorDataViewType(NumberDataViewType.Byte, shape);
        schema[nameof(Label)].ColumnType = new KeyDataViewType(typeof(uint), names.Count);
        schema[nameof(Label)].AddAnnotation(
            "KeyValues",
            new VBuffer<ReadOnlyMemory<char>>(names.Count, [.. names.Select(name => name.AsMemory())]),
            new VectorDataViewType(TextDataViewType.Instance, names.Count));
        return catalog.LoadFromEnumerable(rows, schema);
    }
}
