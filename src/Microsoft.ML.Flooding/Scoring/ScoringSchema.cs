using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>The input schema of scoring, and the output schema with the two scored columns.</summary>
internal sealed class ScoringSchema
{
    /// <summary>The class probabilities of the current row of a cursor; NaN if the row has no image.</summary>
    public delegate ReadOnlySpan<float> ProbabilitiesOfCurrentRow();

    public ScoringSchema(DataViewSchema input, ModelDescription description)
    {
        Input = input;
        Feature = input.GetColumnOrNull(description.FeatureColumn)
            ?? throw new ArgumentOutOfRangeException(
                nameof(input),
                $"The data has no column '{description.FeatureColumn}', from which the model reads images. "
                + $"Its columns: {string.Join(", ", input.Select(c => c.Name))}.");
        ImageColumn = new ImageColumn(description.FeatureColumn, description.Shape)
        {
            MaxPixels = description.MaxPixels,
            CenterCrop = description.CenterCrop,
        };
        OnInvalidImage = description.OnInvalidImage;
        ImageColumn.CheckType(Feature.Name, Feature.Type);
        var builder = new DataViewSchema.Builder();
        builder.AddColumns(input);
        var setId = ScoreAnnotations.NextSetId(input);
        builder.AddColumn(
            description.ScoreColumn, new VectorDataViewType(NumberDataViewType.Single, description.Labels.Count),
            ScoreAnnotations.OfScore(description.Labels, setId));
        builder.AddColumn(
            description.PredictedLabelColumn, description.Labels.KeyType, ScoreAnnotations.OfPredictedLabel(description.Labels, setId));
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

    /// <summary>Whether a column of <see cref="Output"/> is one of the two scored columns.</summary>
    public bool IsScored(DataViewSchema.Column column) => column.Index >= Input.Count;

    /// <summary>The error for a row without an image.</summary>
    public InvalidOperationException InvalidImage(string row, string problem) =>
        new($"Column '{Feature.Name}', {row}: the image cannot be read: {problem}. "
            + "Remove the row, or train with OnInvalidImage set to Skip.");

    /// <summary>The input columns that these output columns need.</summary>
    public IEnumerable<DataViewSchema.Column> Dependencies(IEnumerable<DataViewSchema.Column> outputs)
    {
        var columns = outputs.ToArray();
        var passed = columns.Where(c => !IsScored(c)).Select(c => Input[c.Index]);
        return (columns.Any(IsScored) ? passed.Append(Feature) : passed).DistinctBy(c => c.Index);
    }

    /// <summary>Creates the getter of a scored column.</summary>
    /// <exception cref="InvalidOperationException">The type of the column is not <typeparamref name="TValue"/>.</exception>
    public ValueGetter<TValue> CreateGetter<TValue>(DataViewSchema.Column column, ProbabilitiesOfCurrentRow probabilities)
    {
        Delegate getter = column.Index == Score.Index
            ? ScoreGetter(probabilities)
            : Type.GetTypeCode(column.Type.RawType) switch
            {
                TypeCode.Byte => (ValueGetter<byte>)((ref byte value) => value = (byte)Predicted(probabilities())),
                TypeCode.UInt16 => (ValueGetter<ushort>)((ref ushort value) => value = (ushort)Predicted(probabilities())),
                TypeCode.UInt32 => (ValueGetter<uint>)((ref uint value) => value = Predicted(probabilities())),
                _ => (ValueGetter<ulong>)((ref ulong value) => value = Predicted(probabilities())),
            };
        return getter as ValueGetter<TValue>
            ?? throw new InvalidOperationException(
                $"Column '{column.Name}' holds {column.Type.RawType.Name}, not {typeof(TValue).Name}. "
                + $"Request a getter of {column.Type.RawType.Name}.");
    }

    private static ValueGetter<VBuffer<float>> ScoreGetter(ProbabilitiesOfCurrentRow probabilities) =>
        (ref VBuffer<float> value) =>
        {
            var current = probabilities();
            var editor = VBufferEditor.Create(ref value, current.Length);
            current.CopyTo(editor.Values);
            value = editor.Commit();
        };

    /// <summary>
    /// The key of the most probable class, counted from 1; of several equal ones, the first. 0, the missing key, if the probabilities are
    /// NaN.
    /// </summary>
    private static uint Predicted(ReadOnlySpan<float> probabilities)
    {
        if (float.IsNaN(probabilities[0]))
            return 0;
        var best = 0;
        for (var i = 1; i < probabilities.Length; i++)
            if (probabilities[i] > probabilities[best])
                best = i;
        return (uint)best + 1;
    }
}
