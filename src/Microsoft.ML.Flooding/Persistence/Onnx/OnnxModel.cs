using System.Text.Json;
using Google.Protobuf;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Persistence.Onnx;

/// <summary>
/// A trained network as an ONNX file: from float32 pixels [N, C, H, W], N free, to the probabilities [N, classes]. The normalization and
/// the softmax are inside, batch norm is folded into the layers before it.
/// </summary>
internal static class OnnxModel
{
    // The first opset with LayerNormalization; every runtime since 2022 reads it.
    private const long Opset = 17;
    private const long IrVersion = 8;
    private const string Batch = "N";

    /// <param name="stream">What is written to.</param>
    /// <param name="network">Its running statistics are used, whatever its mode.</param>
    /// <param name="shape">Of the images.</param>
    /// <param name="labels">One for each class; in the metadata as a JSON array named "labels".</param>
    /// <param name="normalization">From pixels to the network's input; null when the input is to be normalized already.</param>
    /// <param name="architecture">For the metadata.</param>
    /// <param name="input">The name of the input.</param>
    /// <param name="output">The name of the output.</param>
    /// <exception cref="NotSupportedException">The network came from a factory or from TorchScript: nothing is known of its layers.</exception>
    public static void Save(
        Stream stream, Network network, ImageShape shape, IReadOnlyList<string> labels, Normalization? normalization, string architecture,
        string input = "image", string output = "probabilities")
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var graph = new GraphProto { Name = architecture };
        var op = new OnnxOperators(graph);
        var x = normalization is null ? input : op.Normalize(normalization.Mean, normalization.Scale, input);
        op.Softmax(network.Logits(op, x), output);
        graph.Input.Add(Value(input, shape.Channels, shape.Height, shape.Width));
        graph.Output.Add(Value(output, labels.Count));
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
                new StringStringEntryProto { Key = "architecture", Value = architecture },
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
