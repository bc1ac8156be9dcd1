using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Scoring;
using Microsoft.ML.Model.OnnxConverter;

namespace Microsoft.ML.Flooding.Persistence.Onnx;

/// <summary>
/// A scored data view that Microsoft.ML.OnnxConverter knows as one: the converter goes back from the last view of a chain to its source, and takes for
/// an input whatever lies before a view that it does not know.
/// </summary>
/// <param name="source">What is scored.</param>
/// <param name="schema">Its schema, and that of the scored data.</param>
/// <param name="classifier">Scores.</param>
/// <param name="transformer">What the view came from.</param>
internal sealed class ConvertibleDataView(IDataView source, ScoringSchema schema, ImageClassifier classifier, ICanSaveModel transformer)
    : ScoredDataView(source, schema, classifier), ITransformCanSaveOnnx
{
    /// <exception cref="NotSupportedException">The images are not vectors of pixels, or no graph can have them.</exception>
    public bool CanSaveOnnx(OnnxContext ctx)
    {
        OnnxConversion.Require(Columns);
        if (!IsImageColumnConvertible(ctx))
            throw OnnxConversion.Unconverted(Columns);
        return true;
    }

    public void SaveAsOnnx(OnnxContext ctx) => Classifier.Read(network => OnnxConversion.Write(ctx, Columns, Classifier.Description, network));

    public void Save(ModelSaveContext ctx) => transformer.Save(ctx);

    /// <summary>
    /// Whether all that makes the image column is converted. The converter stops at the last view that it cannot convert, and takes columns of the
    /// chain's first view in place of those that were made since, as long as the names are the same.
    /// </summary>
    private bool IsImageColumnConvertible(OnnxContext context)
    {
        var stopped = false;
        for (var view = Source as IDataTransform; view is not null; view = view.Source as IDataTransform)
        {
            stopped |= view is not ITransformCanSaveOnnx known || !known.CanSaveOnnx(context);
            if (stopped && view.Source.Schema.GetColumnOrNull(Columns.Feature.Name)?.Index != view.Schema[Columns.Feature.Name].Index)
                return false;
        }
        return true;
    }
}
