using System.Text.Json;
using Google.Protobuf;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Networks.Onnx;
using Microsoft.ML.Flooding.Scoring;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Persistence.Onnx;

/// <summary>
/// Saves a trained network as an ONNX file: from float32 pixels [N, C, H, W], with any N, to the probabilities [N, classes]. The graph
/// includes the normalization and the softmax; batch norm is folded into the preceding layers.
/// </summary>
internal static class OnnxModel
{
    // The first opset with LayerNormalization. All runtimes since 2022 can read it.
    private const long Opset = 17;
    private const long IrVersion = 8;
    private const string Batch = "N";
    private const string Input = "image";
    private const string Output = "probabilities";

    /// <summary>Writes the file.</summary>
    /// <param name="stream">The stream to write to.</param>
    /// <param name="network">The network. Its running statistics are used, whatever its mode.</param>
    /// <param name="description">The description of the model.</param>
    /// <param name="includeNormalization">Whether the graph normalizes its input. If not, the input must be normalized.</param>
    /// <exception cref="NotSupportedException">
    /// The layers of the network are unknown, because it came from a factory or from TorchScript.
    /// </exception>
    public static void Save(Stream stream, Network network, ModelDescription description, bool includeNormalization)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var (shape, labels, normalization) = (description.Shape, description.Labels.Names, description.Normalization);
        var graph = new GraphProto { Name = description.Architecture };
        var op = new OnnxOperators(graph, Opset);
        var x = includeNormalization ? op.Normalize(normalization.Mean, normalization.Scale, Input) : Input;
        op.Probabilities(network.Logits(op, x), description.Temperature, Output);
        graph.Input.Add(Value(Input, shape.Channels, shape.Height, shape.Width));
        graph.Output.Add(Value(Output, labels.Count));
        var model = new ModelProto
        {
            IrVersion = IrVersion,
            ProducerName = typeof(OnnxModel).Assembly.GetName().Name,
            ProducerVersion = typeof(OnnxModel).Assembly.GetName().Version?.ToString(3),
            Graph = graph,
            OpsetImport = { new OperatorSetIdProto { Version = Opset } },
            MetadataProps =
            {
                new StringStringEntryProto { Key = "labels", Value = JsonSerializer.Serialize(labels) },
                new StringStringEntryProto { Key = "architecture", Value = description.Architecture },
                new StringStringEntryProto { Key = "mean", Value = JsonSerializer.Serialize(normalization.Mean) },
                new StringStringEntryProto { Key = "deviation", Value = JsonSerializer.Serialize(normalization.Scale.Select(s => 1 / s)) },
            },
        };
        model.WriteTo(stream);
    }

    private static ValueInfoProto Value(string name, params ReadOnlySpan<long> sizes)
    {
        var shape = new TensorShapeProto { Dim = { new TensorShapeProto.Types.Dimension { DimParam = Batch } } };
        foreach (var size in sizes)
            shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimValue = size });
        return new ValueInfoProto
        {
            Name = name,
            Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = TensorProto.Types.DataType.Float, Shape = shape } },
        };
    }
}
