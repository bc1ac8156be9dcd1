using System.Runtime.InteropServices;
using Google.Protobuf;
using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Networks.Onnx;

/// <summary>
/// An ONNX file brought into the form that networks have: from images [N, C, H, W], red first, normalized by channels alone.
/// </summary>
internal static class OnnxFile
{
    /// <summary>The graph with what its input asks for in front, and how images are prepared for it.</summary>
    /// <exception cref="InvalidDataException">A file is no ONNX file, or its input no images.</exception>
    /// <exception cref="ArgumentException">A setting is outside of its range.</exception>
    public static (OnnxGraph Graph, Preprocessing Preprocessing) Open(string path, OnnxInput input)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(input.Side, 1, nameof(OnnxInput.Side));
        var graph = OnnxGraph.Open(path);
        if (input.PreprocessingGraph is { } first)
            graph = graph.Behind(OnnxGraph.Open(first));
        var sizes = graph.InputSizes.Count == 0 ? [null, null, null, null] : graph.InputSizes;
        if (sizes.Count != 4)
            throw new InvalidDataException(
                $"Its input '{graph.Input}' has {sizes.Count} axes; images have four, [N, C, H, W] or [N, H, W, C].");
        var isLast = input.Layout switch
        {
            OnnxLayout.ChannelsFirst => false,
            OnnxLayout.ChannelsLast => true,
            OnnxLayout.Automatic => sizes[3] is 1 or 3 && sizes[1] is not (1 or 3),
            _ => throw new ArgumentOutOfRangeException(nameof(input), input.Layout, $"{nameof(OnnxInput.Layout)} is not a layout."),
        };
        var (channels, height, width) = isLast ? (sizes[3], sizes[1], sizes[2]) : (sizes[1], sizes[2], sizes[3]);
        var shape = new ImageShape(Side(height), Side(width), (int)Math.Min(channels ?? 3, int.MaxValue));
        if (shape.Channels > 1024 || shape.Height > ushort.MaxValue || shape.Width > ushort.MaxValue)
            throw new InvalidDataException($"Images of {shape}, which its input takes, are not possible.");
        if (input.IsBlueFirst && shape.Channels != 3)
            throw new ArgumentException(
                $"{nameof(OnnxInput.IsBlueFirst)} is set, and the network takes images of {shape.Channels} channels.");
        if (input.MeanImage is { } mean && mean.Count != shape.Length)
            throw new ArgumentException(
                $"{nameof(OnnxInput.MeanImage)} has {mean.Count:N0} values; images of {shape} have {shape.Length:N0}.");
        var prepared = graph.Behind([null, shape.Channels, height, width], (front, image) =>
            Prepare(graph, front, image, input, shape, isLast));
        return (prepared, input.For(shape.Height, shape.Width, shape.Channels));

        int Side(long? size) => (int)Math.Min(size ?? input.Side, int.MaxValue);
    }

    private static string Prepare(OnnxGraph graph, GraphProto front, string image, OnnxInput input, ImageShape shape, bool isLast)
    {
        var value = image;
        if (input.IsBlueFirst)
        {
            Add("Gather", Integer("axis", 1), new TensorProto
            {
                Name = graph.Unused("image.order"),
                DataType = TensorProto.Types.DataType.Int64,
                Dims = { 3 },
                Int64Data = { 2, 1, 0 },
            });
        }
        if (input.MeanImage is { } mean)
        {
            Add("Sub", null, new TensorProto
            {
                Name = graph.Unused("image.mean"),
                DataType = TensorProto.Types.DataType.Float,
                Dims = { 1, shape.Channels, shape.Height, shape.Width },
                RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes<float>(mean.ToArray())),
            });
        }
        if (isLast)
            Add("Transpose", new AttributeProto { Name = "perm", Type = AttributeProto.Types.AttributeType.Ints, Ints = { 0, 2, 3, 1 } },
                null);
        return value;

        static AttributeProto Integer(string name, long number) =>
            new() { Name = name, Type = AttributeProto.Types.AttributeType.Int, I = number };

        void Add(string type, AttributeProto? attribute, TensorProto? tensor)
        {
            var result = graph.Unused($"{image}.{type}");
            var node = new NodeProto { OpType = type, Input = { value }, Output = { result } };
            if (tensor is not null)
            {
                front.Initializer.Add(tensor);
                node.Input.Add(tensor.Name);
            }
            if (attribute is not null)
                node.Attribute.Add(attribute);
            front.Node.Add(node);
            value = result;
        }
    }
}
