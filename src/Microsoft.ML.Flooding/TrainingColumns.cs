using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Scoring;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.Flooding;

/// <summary>The columns that a trainer reads. Errors name the column, the option that chooses it, and the transform to add.</summary>
internal static class TrainingColumns
{
    private const string ValidationSet = "validation set";

    /// <summary>Checks that the training data has the columns that the options name, and that their types are right.</summary>
    /// <returns>The label column.</returns>
    /// <exception cref="ArgumentException">A column is missing or has the wrong type.</exception>
    public static SchemaShape.Column Check(SchemaShape schema, FloodedImageClassificationTrainer.Options options)
    {
        var label = Find(schema, options.LabelColumnName, nameof(options.LabelColumnName));
        if (!label.IsKey || label.Kind != SchemaShape.Column.VectorKind.Scalar)
            throw new ArgumentException(
                $"The label column '{label.Name}' must be a key; it is {label.GetTypeString()}. {LabelKeys.Remedy(label.Name)}");
        ImageColumn.CheckType(Find(schema, options.FeatureColumnName, nameof(options.FeatureColumnName)));
        if (options.ExampleWeightColumnName is { } weight)
            CheckWeight(Find(schema, weight, nameof(options.ExampleWeightColumnName)));
        if (options.SamplingKeyColumnName is { } samplingKey)
            CheckSamplingKey(Find(schema, samplingKey, nameof(options.SamplingKeyColumnName)));
        return label;
    }

    /// <summary>Checks that a validation set has the columns of the training data, with the same classes.</summary>
    /// <exception cref="ArgumentException">A column is missing or has the wrong type, or the label has other keys.</exception>
    public static void CheckValidation(DataViewSchema schema, LabelKeys labels, FloodedImageClassificationTrainer.Options options)
    {
        var label = schema.GetColumnOrNull(options.LabelColumnName)
            ?? throw new ArgumentException($"The {ValidationSet} has no column '{options.LabelColumnName}'.");
        if (schema.GetColumnOrNull(options.FeatureColumnName) is null)
            throw new ArgumentException($"The {ValidationSet} has no column '{options.FeatureColumnName}'.");
        if (!LabelKeys.Of(label).Equals(labels))
            throw new ArgumentException(
                $"Column '{options.LabelColumnName}' of the {ValidationSet} has other keys than that of the training data. "
                + $"Transform the {ValidationSet} with the same fitted MapValueToKey.");
        if (options.ExampleWeightColumnName is { } weight)
            CheckWeight(Find(SchemaShape.Create(schema), weight, nameof(options.ExampleWeightColumnName), ValidationSet));
    }

    private static SchemaShape.Column Find(SchemaShape schema, string name, string option, string where = "data") =>
        schema.TryFindColumn(name, out var column)
            ? column
            : throw new ArgumentException(
                $"The {where} has no column '{name}' ({option}). Its columns: {string.Join(", ", schema.Select(c => c.Name))}.");

    private static void CheckWeight(SchemaShape.Column weight)
    {
        if (weight.IsKey || weight.Kind != SchemaShape.Column.VectorKind.Scalar || weight.ItemType != NumberDataViewType.Single)
            throw new ArgumentException(
                $"The weight column '{weight.Name}' must be Single; it is {weight.GetTypeString()}. "
                + $"Put mlContext.Transforms.Conversion.ConvertType(\"{weight.Name}\") before the trainer.");
    }

    private static void CheckSamplingKey(SchemaShape.Column samplingKey)
    {
        if (!HashingEstimator.IsColumnTypeValid(samplingKey.ItemType))
            throw new ArgumentException(
                $"The sampling key column '{samplingKey.Name}' must be text, a key, a number or Boolean; "
                + $"it is {samplingKey.GetTypeString()}. Put "
                + $"mlContext.Transforms.Conversion.ConvertType(\"{samplingKey.Name}\", outputKind: DataKind.String) before the trainer.");
    }
}
