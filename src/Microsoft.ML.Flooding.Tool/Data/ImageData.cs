using Microsoft.ML.Data;

namespace Mlflood.Data;

/// <summary>Labeled images: files, or the pixels of a data set.</summary>
/// <param name="rows">The images.</param>
/// <param name="pixelType">The type of the pixels; null if the images are files.</param>
/// <param name="columns">The optional columns that the data has.</param>
internal sealed class ImageData(IReadOnlyList<ImageRow> rows, VectorDataViewType? pixelType, ImageColumns columns)
{
    public IReadOnlyList<ImageRow> Rows => rows;

    /// <summary>The labels, in ordinal order.</summary>
    public IReadOnlyList<string> Labels { get; } = [.. rows.Select(row => row.Label).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>The same kind of data with other rows.</summary>
    public ImageData With(IReadOnlyList<ImageRow> other) => new(other, pixelType, columns);

    /// <summary>A view with the label, the image and the optional columns.</summary>
    public IDataView ToView(MLContext context, string label, string feature)
    {
        var schema = SchemaDefinition.Create(typeof(ImageRow));
        schema[nameof(ImageRow.Label)].ColumnName = label;
        Name(nameof(ImageRow.Weight), columns.Weight);
        Name(nameof(ImageRow.Group), columns.Group);
        if (pixelType is not null)
        {
            schema[nameof(ImageRow.Pixels)].ColumnName = feature;
            schema[nameof(ImageRow.Pixels)].ColumnType = pixelType;
            schema.Remove(schema[nameof(ImageRow.FilePath)]);
            return context.Data.LoadFromEnumerable(rows, schema);
        }
        schema.Remove(schema[nameof(ImageRow.Pixels)]);
        var files = context.Data.LoadFromEnumerable(rows, schema);
        return context.Transforms.LoadRawImageBytes(feature, null, nameof(ImageRow.FilePath)).Fit(files).Transform(files);

        void Name(string member, string? column)
        {
            if (column is null)
                schema.Remove(schema[member]);
            else
                schema[member].ColumnName = column;
        }
    }

    /// <summary>The columns that a saved model takes: the label and the image, as the bytes of a file or as pixels.</summary>
    public DataViewSchema InputSchema(MLContext context, string label, string feature)
    {
        var schema = SchemaDefinition.Create(typeof(ModelInput));
        schema[nameof(ModelInput.Label)].ColumnName = label;
        schema[nameof(ModelInput.Image)].ColumnName = feature;
        if (pixelType is not null)
            schema[nameof(ModelInput.Image)].ColumnType = pixelType;
        return context.Data.LoadFromEnumerable<ModelInput>([], schema).Schema;
    }

    /// <summary>Sets a share of the images of each class aside; images of one group stay together.</summary>
    public (ImageData Others, ImageData HeldOut) Split(double fraction, int seed)
    {
        var random = new Random(seed);
        var rest = new List<ImageRow>();
        var heldOut = new List<ImageRow>();
        foreach (var ofClass in rows.GroupBy(row => row.Label))
        {
            var wanted = fraction * ofClass.Count();
            var taken = 0;
            var groups = ofClass.GroupBy(row => columns.Group is null ? row.Name : row.Group).ToArray();
            random.Shuffle(groups);
            foreach (var group in groups)
            {
                var goesOut = taken + (group.Count() / 2.0) <= wanted;
                (goesOut ? heldOut : rest).AddRange(group);
                taken += goesOut ? group.Count() : 0;
            }
        }
        return (With(rest), With(heldOut));
    }

    private sealed class ModelInput
    {
        public string Label { get; set; } = "";

        public byte[] Image { get; set; } = [];
    }
}

/// <summary>The names of the optional columns of the data; null: the data has none.</summary>
/// <param name="Weight">The column of the images' weights.</param>
/// <param name="Group">The column of the sampling key.</param>
internal sealed record ImageColumns(string? Weight = null, string? Group = null);
