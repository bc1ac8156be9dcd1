using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>The schema that scoring adds two columns to, and the one that comes of it.</summary>
internal sealed class ScoringSchema
{
    public ScoringSchema(DataViewSchema input, ModelDescription description)
    {
        Input = input;
        Feature = input.GetColumnOrNull(description.FeatureColumn)
            ?? throw new ArgumentOutOfRangeException(nameof(input), $"The data has no column '{description.FeatureColumn}', which the model reads images from. Its columns: {string.Join(", ", input.Select(c => c.Name))}.");
        ImageColumn = new ImageColumn(description.FeatureColumn, description.Shape) { MaxPixels = description.MaxPixels, CenterCrop = description.CenterCrop };
        OnInvalidImage = description.OnInvalidImage;
        ImageColumn.CheckType(Feature.Name, Feature.Type);
        var builder = new DataViewSchema.Builder();
        builder.AddColumns(input);
        var setId = ScoreAnnotations.NextSetId(input);
        builder.AddColumn(description.ScoreColumn, new VectorDataViewType(NumberDataViewType.Single, description.Labels.Count),
            ScoreAnnotations.OfScore(description.Labels, setId));
        builder.AddColumn(description.PredictedLabelColumn, description.Labels.KeyType, ScoreAnnotations.OfPredictedLabel(description.Labels, setId));
        Output = builder.ToSchema();
        Score = Output[input.Count];
        PredictedLabel = Output[input.Count + 1];
    }

    public DataViewSchema Input { get; }

    public DataViewSchema Output { get; }

    public DataViewSchema.Column Feature { get; }

    public DataViewSchema.Column Score { get; }

    public DataViewSchema.Column PredictedLabel { get; }

    public ImageColumn ImageColumn { get; }

    public OnInvalidImage OnInvalidImage { get; }

    /// <summary>Whether a column of <see cref="Output"/> is one of the two that scoring adds.</summary>
    public bool IsScored(DataViewSchema.Column column) => column.Index >= Input.Count;

    /// <summary>The error for a row without an image.</summary>
    public InvalidOperationException InvalidImage(string row, string problem) =>
        new($"Column '{Feature.Name}', {row}: the image cannot be read: {problem}. Remove the row, or train with OnInvalidImage set to Skip.");

    /// <summary>The input columns needed for these output columns.</summary>
    public IEnumerable<DataViewSchema.Column> Dependencies(IEnumerable<DataViewSchema.Column> outputs)
    {
        var columns = outputs.ToArray();
        var passed = columns.Where(c => !IsScored(c)).Select(c => Input[c.Index]);
        return (columns.Any(IsScored) ? passed.Append(Feature) : passed).DistinctBy(c => c.Index);
    }
}
