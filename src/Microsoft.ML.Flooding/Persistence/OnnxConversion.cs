using System.Runtime.InteropServices;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Networks.Onnx;
using Microsoft.ML.Flooding.Scoring;
using Microsoft.ML.Model.OnnxConverter;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Persistence;

/// <summary>
/// A scored data view that Microsoft.ML.OnnxConverter can convert. The converter goes from the last view of a chain back to its source, and
/// stops at a view that it does not know: what lies before it becomes an input.
/// </summary>
/// <param name="source">The data to score.</param>
/// <param name="schema">The schemas of the source and of the scored data.</param>
/// <param name="classifier">Scores the images.</param>
/// <param name="transformer">The transformer that created the view.</param>
internal sealed class ConvertibleDataView(IDataView source, ScoringSchema schema, ImageClassifier classifier, ICanSaveModel transformer)
    : ScoredDataView(source, schema, classifier), ITransformCanSaveOnnx
{
    /// <summary>Returns true, or throws if the view cannot be converted.</summary>
    /// <exception cref="NotSupportedException">
    /// The images are not vectors of pixels, or come from a view that cannot be converted.
    /// </exception>
    public bool CanSaveOnnx(OnnxContext ctx)
    {
        OnnxConversion.Require(Columns);
        if (!IsImageColumnConvertible(ctx))
            throw OnnxConversion.Unconverted(Columns);
        return true;
    }

    public void SaveAsOnnx(OnnxContext ctx) =>
        Classifier.Read(network => OnnxConversion.Write(ctx, Columns, Classifier.Description, network.Network()));

    public void Save(ModelSaveContext ctx) => transformer.Save(ctx);

    /// <summary>
    /// Whether each view that produces the image column can be converted. The converter stops at the last view that it cannot convert, and
    /// silently uses columns of the chain's first view instead of later columns with the same names.
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

/// <summary>
/// Adds a trained network to the graph that Microsoft.ML.OnnxConverter builds from a chain of transformers: from the values of the image
/// column to the scored columns.
/// </summary>
internal static class OnnxConversion
{
    // The converter writes opsets 9 to 12. From opset 11, Clip takes its bounds as inputs, and axes may be negative.
    private const int LeastOpset = 11;

    private const string Transformer = "FloodedImageClassificationTransformer";

    private const string Values = "values";
    private const string Probabilities = "probabilities";
    private const string Key = "key";

    private static readonly Dictionary<Type, TensorProto.Types.DataType> KeyTypes = new()
    {
        [typeof(byte)] = TensorProto.Types.DataType.Uint8,
        [typeof(ushort)] = TensorProto.Types.DataType.Uint16,
        [typeof(uint)] = TensorProto.Types.DataType.Uint32,
        [typeof(ulong)] = TensorProto.Types.DataType.Uint64,
    };

    /// <summary>Throws unless the images are vectors of pixels: ONNX cannot decode or resize images.</summary>
    /// <exception cref="NotSupportedException">The message says what to do instead.</exception>
    public static void Require(ScoringSchema schema)
    {
        var what = ImageColumn.KindOf(schema.Feature.Name, schema.Feature.Type) switch
        {
            ImageKind.Encoded => "holds image files, which an ONNX graph cannot decode",
            ImageKind.Bitmap => "holds MLImages, which an ONNX graph cannot take",
            _ => null,
        };
        if (what is not null)
            throw NotConvertible(schema, what);
    }

    /// <summary>The error for an image column that is not in the graph.</summary>
    public static NotSupportedException Unconverted(ScoringSchema schema) =>
        NotConvertible(schema, "comes from a transformer that cannot be converted");

    /// <summary>Adds the nodes and weights to the graph.</summary>
    /// <param name="context">The graph, which has a variable for each column.</param>
    /// <param name="schema">The schemas of the columns.</param>
    /// <param name="description">The description of the model.</param>
    /// <param name="network">The network. Its running statistics are used, whatever its mode.</param>
    /// <exception cref="NotSupportedException">
    /// The image column is not in the graph, or the layers of the network are unknown because it came from a factory or from TorchScript.
    /// </exception>
    public static void Write(OnnxContext context, ScoringSchema schema, ModelDescription description, Network network)
    {
        context.CheckOpSetVersion(LeastOpset, Transformer);
        if (!context.ContainsColumn(schema.Feature.Name))
            throw Unconverted(schema);
        var graph = Graph(description, network, ((KeyDataViewType)schema.PredictedLabel.Type).RawType);
        // Look up the image column's variable first: a scored column may take its name.
        var variables = new Dictionary<string, string> { [Values] = context.GetVariableName(schema.Feature.Name) };
        foreach (var (name, column) in new[] { (Probabilities, schema.Score), (Key, schema.PredictedLabel) })
            variables[name] = context.AddIntermediateVariable(column.Type, column.Name);
        Add(graph, context, variables, schema.Score.Name);
    }

    private static GraphProto Graph(ModelDescription description, Network network, Type keyType)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var graph = new GraphProto();
        var op = new OnnxOperators(graph, LeastOpset);
        var images = op.Normalize(description.Normalization.Mean, description.Normalization.Scale, op.Images(description.Shape, Values));
        op.Key(op.Probabilities(network.Logits(op, images), description.Temperature, Probabilities), KeyTypes[keyType], Key);
        return graph;
    }

    /// <param name="graph">The graph to add.</param>
    /// <param name="context">The graph to add it to.</param>
    /// <param name="variables">The variables of values that already have one; the method adds the others.</param>
    /// <param name="prefix">
    /// The prefix of the added variables. The context looks up columns by variable name, so no name may match a column of the data.
    /// </param>
    private static void Add(GraphProto graph, OnnxContext context, Dictionary<string, string> variables, string prefix)
    {
        foreach (var weight in graph.Initializer)
            variables[weight.Name] = Add(weight, context, $"{prefix}.{weight.Name}");
        foreach (var node in graph.Node)
        {
            var output = node.Output.Single();
            if (!variables.ContainsKey(output))
                variables[output] = context.AddIntermediateVariable(null, $"{prefix}.{output}", skip: true);
            var added = context.CreateNode(
                node.OpType, node.Input.Select(name => variables[name]), [variables[output]],
                context.GetNodeName($"{prefix}.{node.Name}"), domain: "");
            foreach (var attribute in node.Attribute)
                Add(attribute, added);
        }
    }

    private static string Add(TensorProto tensor, OnnxContext context, string name)
    {
        if (tensor.DataType == TensorProto.Types.DataType.Int64)
        {
            var integers = MemoryMarshal.Cast<byte, long>(tensor.RawData.Span);
            return tensor.Dims.Count == 0
                ? context.AddInitializer(integers[0], name)
                : context.AddInitializer(integers.ToArray(), tensor.Dims, name);
        }
        var floats = MemoryMarshal.Cast<byte, float>(tensor.RawData.Span);
        return tensor.Dims.Count == 0
            ? context.AddInitializer(floats[0], name)
            : context.AddInitializer(floats.ToArray(), tensor.Dims, name);
    }

    private static void Add(AttributeProto attribute, OnnxNode node)
    {
        switch (attribute.Type)
        {
            case AttributeProto.Types.AttributeType.Int:
                node.AddAttribute(attribute.Name, attribute.I);
                break;
            case AttributeProto.Types.AttributeType.Float:
                node.AddAttribute(attribute.Name, (double)attribute.F);
                break;
            default:
                node.AddAttribute(attribute.Name, attribute.Ints);
                break;
        }
    }

    private static NotSupportedException NotConvertible(ScoringSchema schema, string why) => new(
        $"ConvertToOnnx cannot convert the classifier: its column '{schema.Feature.Name}' {why}. "
        + $"Use {Transformer}.SaveAsOnnx, which saves the network alone, from pixels to probabilities.");
}
