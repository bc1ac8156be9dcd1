using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>The annotations that ML.NET's evaluators and converters use to recognize a multiclass score and its predicted label.</summary>
internal static class ScoreAnnotations
{
    private static readonly KeyDataViewType SetIdType = new(typeof(uint), int.MaxValue);

    /// <summary>A number that distinguishes these score columns from those of other trainers in the same pipeline.</summary>
    public static uint NextSetId(DataViewSchema schema) =>
        AnnotationUtils.GetMaxAnnotationKind(schema, out _, AnnotationUtils.Kinds.ScoreColumnSetId) + 1;

    /// <summary>
    /// The annotations of the score column: the names of the classes as slot names, and the label values in their own type.
    /// </summary>
    public static DataViewSchema.Annotations OfScore(LabelKeys labels, uint setId)
    {
        var builder = new DataViewSchema.Annotations.Builder();
        if (labels.Values is { } values)
        {
            var names = values.Select(v => v.AsMemory()).ToArray();
            builder.Add(AnnotationUtils.Kinds.SlotNames, new VectorDataViewType(TextDataViewType.Instance, names.Length),
                (ref VBuffer<ReadOnlyMemory<char>> value) => new VBuffer<ReadOnlyMemory<char>>(names.Length, names).CopyTo(ref value));
            labels.AddValues(builder, AnnotationUtils.Kinds.TrainingLabelValues);
        }
        AddKinds(builder, setId, AnnotationUtils.Const.ScoreValueKind.Score);
        return builder.ToAnnotations();
    }

    /// <summary>
    /// The annotations of the predicted label: the key values of the label column, so that MapKeyToValue returns the label.
    /// </summary>
    public static DataViewSchema.Annotations OfPredictedLabel(LabelKeys labels, uint setId)
    {
        var builder = new DataViewSchema.Annotations.Builder();
        labels.AddValues(builder, AnnotationUtils.Kinds.KeyValues);
        AddKinds(builder, setId, AnnotationUtils.Const.ScoreValueKind.PredictedLabel);
        return builder.ToAnnotations();
    }

    /// <summary>The schema shape of <see cref="OfScore"/> for a label column of this shape.</summary>
    public static SchemaShape ShapeOfScore(SchemaShape.Column label)
    {
        var columns = new List<SchemaShape.Column>();
        if (KeyValuesOf(label) is { } values)
        {
            columns.Add(new(AnnotationUtils.Kinds.SlotNames, SchemaShape.Column.VectorKind.Vector, TextDataViewType.Instance, false));
            columns.Add(new(AnnotationUtils.Kinds.TrainingLabelValues, SchemaShape.Column.VectorKind.Vector, values, false));
        }
        columns.AddRange(AnnotationUtils.GetTrainerOutputAnnotation());
        return new SchemaShape(columns);
    }

    /// <summary>The schema shape of <see cref="OfPredictedLabel"/> for a label column of this shape.</summary>
    public static SchemaShape ShapeOfPredictedLabel(SchemaShape.Column label)
    {
        var columns = new List<SchemaShape.Column>();
        if (KeyValuesOf(label) is { } values)
            columns.Add(new(AnnotationUtils.Kinds.KeyValues, SchemaShape.Column.VectorKind.Vector, values, false));
        columns.AddRange(AnnotationUtils.GetTrainerOutputAnnotation());
        return new SchemaShape(columns);
    }

    private static DataViewType? KeyValuesOf(SchemaShape.Column label) =>
        label.Annotations.TryFindColumn(AnnotationUtils.Kinds.KeyValues, out var values) && LabelValueType.Find(values.ItemType) is not null
            ? values.ItemType
            : null;

    private static void AddKinds(DataViewSchema.Annotations.Builder builder, uint setId, string valueKind)
    {
        builder.Add(AnnotationUtils.Kinds.ScoreColumnSetId, SetIdType, (ref uint value) => value = setId);
        builder.Add(AnnotationUtils.Kinds.ScoreColumnKind, TextDataViewType.Instance,
            (ref ReadOnlyMemory<char> value) => value = AnnotationUtils.Const.ScoreColumnKind.MulticlassClassification.AsMemory());
        builder.Add(AnnotationUtils.Kinds.ScoreValueKind, TextDataViewType.Instance,
            (ref ReadOnlyMemory<char> value) => value = valueKind.AsMemory());
    }
}
