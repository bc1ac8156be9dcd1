using Microsoft.ML;
using Microsoft.ML.Data;

namespace Noise;

/// <summary>One image, or the features of one, with its label.</summary>
internal sealed class Example
{
    /// <summary>Pixels from 0 to 255, or features.</summary>
    public float[] Features { get; set; } = [];

    /// <summary>The class, from 0, as ML.NET counts the keys of .NET objects.</summary>
    public uint Label { get; set; }

    /// <summary>A copy with another label.</summary>
    public Example With(uint label) => new() { Features = Features, Label = label };

    /// <summary>Examples as a data view.</summary>
    /// <param name="examples">The examples.</param>
    /// <param name="shape">Height, width and channels.</param>
    /// <param name="classes">The number of classes.</param>
    public static IDataView View(IReadOnlyList<Example> examples, int[] shape, int classes)
    {
        var schema = SchemaDefinition.Create(typeof(Example));
        schema[nameof(Features)].ColumnType = new VectorDataViewType(NumberDataViewType.Single, shape);
        schema[nameof(Label)].ColumnType = new KeyDataViewType(typeof(uint), classes);
        return new MLContext().Data.LoadFromEnumerable(examples, schema);
    }
}
