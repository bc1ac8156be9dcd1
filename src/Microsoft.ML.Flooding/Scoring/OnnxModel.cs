using System.Text.Json;
using Google.Protobuf;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Networks.Onnx;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>
/// A trained network as an ONNX model: from float32 images [N, C, H, W], with any N, to the probabilities [N, classes], with the softmax.
/// </summary>
internal static class OnnxModel
{
    /// <summary>The input of every model.</summary>
    public const string Input = "image";

    /// <summary>The output of every model.</summary>
    public const string Output = "probabilities";

    // The first opset with LayerNormalization. All runtimes since 2022 can read it.
    private const long Opset = 17;
    private const long IrVersion = 8;
    private const string Batch = "N";

    /// <summary>Writes a file for other programs, with the weights in it. Batch norm is folded into the preceding layers.</summary>
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
        var normalization = description.Normalization;
        var graph = new GraphProto();
        var op = new OnnxOperators(graph, Opset);
        var x = includeNormalization ? op.Normalize(normalization.Mean, normalization.Scale, Input) : Input;
        op.Probabilities(network.Logits(op, x), description.Temperature, Output);
        var model = Complete(graph, description);
        model.MetadataProps.Add(new[]
        {
            new StringStringEntryProto { Key = "labels", Value = JsonSerializer.Serialize(description.Labels.Names) },
            new StringStringEntryProto { Key = "architecture", Value = description.Architecture },
            new StringStringEntryProto { Key = "mean", Value = JsonSerializer.Serialize(normalization.Mean) },
            new StringStringEntryProto { Key = "deviation", Value = JsonSerializer.Serialize(normalization.Scale.Select(s => 1 / s)) },
        });
        model.WriteTo(stream);
    }

    /// <summary>
    /// The graph of a network without its weights: it names them as <see cref="NetworkState"/> does. It is complete with
    /// <see cref="WithWeights"/>. Its input is normalized.
    /// </summary>
    /// <exception cref="NotSupportedException">The layers of the network are unknown.</exception>
    public static ModelProto WithoutWeights(Network network, ModelDescription description)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var graph = new GraphProto();
        var op = new OnnxOperators(graph, Opset, network.State().ToDictionary(entry => entry.Tensor.Handle, entry => entry.Name));
        op.Probabilities(network.Logits(op, Input), description.Temperature, Output);
        return Complete(graph, description);
    }

    /// <summary>Throws if the graph is not that of the model, or if the weights lack one of its weights.</summary>
    /// <exception cref="InvalidDataException">The message names the difference.</exception>
    public static void Check(ModelProto model, ModelDescription description, SafetensorsFile weights)
    {
        var graph = model.Graph ?? throw new InvalidDataException("The graph for ONNX Runtime is empty.");
        if (graph.Name != description.Architecture)
            throw new InvalidDataException(
                $"The graph for ONNX Runtime is that of the architecture '{graph.Name}', but the model has '{description.Architecture}'.");
        var expected = Complete(new GraphProto(), description).Graph;
        if (!graph.Input.Equals(expected.Input) || !graph.Output.Equals(expected.Output))
            throw new InvalidDataException(
                $"The graph for ONNX Runtime does not map images of {description.Shape} to {description.Labels.Count:N0} classes.");
        foreach (var weight in graph.Initializer.Where(IsExternal))
        {
            var entry = weights.Find(weight.Name)
                ?? throw new InvalidDataException($"The weights lack '{weight.Name}'.");
            if (entry.Type != ScalarType.Float32 || !weight.Dims.SequenceEqual(entry.Shape))
            {
                throw new InvalidDataException(
                    $"'{weight.Name}' has the shape [{string.Join(", ", entry.Shape)}] in the weights, but "
                    + $"[{string.Join(", ", weight.Dims)}] in the network.");
            }
        }
    }

    /// <summary>A copy of a graph that contains its weights.</summary>
    /// <param name="model">From <see cref="WithoutWeights"/>.</param>
    /// <param name="weights">The weights, in memory.</param>
    public static ModelProto WithWeights(ModelProto model, SafetensorsFile weights)
    {
        var complete = model.Clone();
        foreach (var weight in complete.Graph.Initializer.Where(IsExternal))
        {
            weight.DataLocation = TensorProto.Types.DataLocation.Default;
            // Without a copy: nothing changes the weights in memory.
            weight.RawData = UnsafeByteOperations.UnsafeWrap(weights.Bytes(weight.Name));
        }
        return complete;
    }

    private static bool IsExternal(TensorProto weight) => weight.DataLocation == TensorProto.Types.DataLocation.External;

    private static ModelProto Complete(GraphProto graph, ModelDescription description)
    {
        graph.Name = description.Architecture;
        graph.Input.Add(Value(Input, description.Shape.Channels, description.Shape.Height, description.Shape.Width));
        graph.Output.Add(Value(Output, description.Labels.Count));
        return new ModelProto
        {
            IrVersion = IrVersion,
            ProducerName = typeof(OnnxModel).Assembly.GetName().Name,
            ProducerVersion = typeof(OnnxModel).Assembly.GetName().Version?.ToString(3),
            Graph = graph,
            OpsetImport = { new OperatorSetIdProto { Version = Opset } },
        };
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
