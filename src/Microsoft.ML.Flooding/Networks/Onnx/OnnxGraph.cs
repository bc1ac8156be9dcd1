using Google.Protobuf;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks.Onnx;

/// <summary>
/// An ONNX graph from one image to one result. It is checked, its nodes are sorted in the order of computation, and unneeded ones are
/// removed.
/// </summary>
internal sealed class OnnxGraph
{
    private const long OldestOpset = 7;
    private const long NewestOpset = 21;

    // A tensor of a single value may be an exponent, a bound or a rate, which is part of the graph.
    private const int MostKeptValues = 1;

    private readonly ModelProto _model;
    private readonly Dictionary<string, TensorProto> _tensors;

    private OnnxGraph(ModelProto model)
    {
        _model = model;
        var graph = model.Graph ?? throw new InvalidDataException("It does not contain a graph.");
        Opset = OpsetOf(model);
        _tensors = Named(graph.Initializer);
        Nodes = Order(graph);
        Prune(graph);
        Input = SingleInput(graph);
        Output = graph.Output[0].Name;
    }

    /// <summary>The version of the operators.</summary>
    public long Opset { get; }

    /// <summary>The name of the images.</summary>
    public string Input { get; }

    /// <summary>The name of the result.</summary>
    public string Output { get; }

    /// <summary>The nodes, each one after the nodes that it depends on.</summary>
    public IReadOnlyList<NodeProto> Nodes { get; private set; }

    /// <summary>The weights and constants by name.</summary>
    public IReadOnlyDictionary<string, TensorProto> Tensors => _tensors;

    /// <summary>The sizes of the input's axes; null for axes of any size.</summary>
    public IReadOnlyList<long?> InputSizes => SizesOf(_model.Graph.Input.First(value => value.Name == Input));

    /// <summary>Whether the graph has the values of its weights, not only their shapes.</summary>
    public bool HasWeights => !_tensors.Values.Any(IsMissing);

    /// <summary>Reads a file, including the data that it stores in other files of its folder.</summary>
    /// <exception cref="InvalidDataException">The file is not an ONNX file or is damaged.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static OnnxGraph Open(string path)
    {
        using var stream = File.OpenRead(path);
        var model = Parse(parser => parser.ParseFrom(stream));
        var graph = new OnnxGraph(model);
        foreach (var tensor in graph._tensors.Values.Where(IsMissing))
            OnnxExternalData.Load(tensor, Path.GetDirectoryName(Path.GetFullPath(path))!);
        foreach (var tensor in graph._tensors.Values)
            OnnxTensor.Check(tensor);
        return graph;
    }

    /// <summary>Reads <see cref="Content"/>.</summary>
    /// <exception cref="InvalidDataException">The content is damaged.</exception>
    public static OnnxGraph Read(byte[] content) => new(Parse(parser => parser.ParseFrom(content)));

    /// <summary>The graph with the shapes of its weights, but without their values and without metadata about its origin.</summary>
    public byte[] Content()
    {
        var graph = new GraphProto { Node = { Nodes }, Input = { Named(Input) }, Output = { new ValueInfoProto { Name = Output } } };
        foreach (var tensor in _tensors.Values.OrderBy(tensor => tensor.Name, StringComparer.Ordinal))
        {
            var isWeight = OnnxTensor.TypeOf(tensor) == ScalarType.Float32 && OnnxTensor.Count(tensor) > MostKeptValues;
            graph.Initializer.Add(isWeight
                ? new TensorProto
                {
                    Name = tensor.Name,
                    Dims = { tensor.Dims },
                    DataType = tensor.DataType,
                    DataLocation = TensorProto.Types.DataLocation.External,
                }
                : tensor);
        }
        return ModelOf(graph).ToByteArray();

        ValueInfoProto Named(string name) => _model.Graph.Input.First(value => value.Name == name);
    }

    /// <summary>This graph with additional nodes before it.</summary>
    /// <param name="sizes">The sizes of the new input's axes; null for axes of any size.</param>
    /// <param name="build">Adds nodes and tensors, given the name of the new input, and returns the name of this graph's input.</param>
    public OnnxGraph Behind(IReadOnlyList<long?> sizes, Func<GraphProto, string, string> build)
    {
        var graph = new GraphProto { Output = { new ValueInfoProto { Name = Output } } };
        var input = Unused("image");
        var read = build(graph, input);
        graph.Initializer.Add(_tensors.Values);
        foreach (var node in Nodes)
        {
            var copy = node.Clone();
            for (var i = 0; i < copy.Input.Count; i++)
                copy.Input[i] = copy.Input[i] == Input ? read : copy.Input[i];
            graph.Node.Add(copy);
        }
        var shape = new TensorShapeProto();
        foreach (var size in sizes)
        {
            shape.Dim.Add(size is { } known
                ? new TensorShapeProto.Types.Dimension { DimValue = known }
                : new TensorShapeProto.Types.Dimension { DimParam = "N" });
        }
        graph.Input.Add(new ValueInfoProto
        {
            Name = input,
            Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = TensorProto.Types.DataType.Float, Shape = shape } },
        });
        return new OnnxGraph(ModelOf(graph));
    }

    /// <summary>This graph after another one, whose result it reads.</summary>
    /// <exception cref="InvalidDataException">The two have different opsets.</exception>
    public OnnxGraph Behind(OnnxGraph first)
    {
        if (first.Opset != Opset)
        {
            throw new InvalidDataException(
                $"The preprocessing graph has opset {first.Opset}, but the network has opset {Opset}. "
                + "Export both with the same opset_version.");
        }
        return Behind(first.InputSizes, (graph, input) =>
        {
            string Renamed(string name) => name.Length == 0 ? name : name == first.Input ? input : Unused("preprocessing." + name);
            foreach (var tensor in first._tensors.Values)
            {
                var copy = tensor.Clone();
                copy.Name = Renamed(tensor.Name);
                graph.Initializer.Add(copy);
            }
            foreach (var node in first.Nodes)
            {
                var copy = node.Clone();
                copy.Input.Clear();
                copy.Output.Clear();
                copy.Input.Add(node.Input.Select(Renamed));
                copy.Output.Add(node.Output.Select(Renamed));
                graph.Node.Add(copy);
            }
            return Renamed(first.Output);
        });
    }

    /// <summary>A name that the graph does not use.</summary>
    public string Unused(string name)
    {
        while (_tensors.ContainsKey(name) || Nodes.Any(node => node.Output.Contains(name) || node.Input.Contains(name)))
            name += "'";
        return name;
    }

    private ModelProto ModelOf(GraphProto graph) =>
        new() { IrVersion = _model.IrVersion, Graph = graph, OpsetImport = { new OperatorSetIdProto { Version = Opset } } };

    private static bool IsMissing(TensorProto tensor) => tensor.DataLocation == TensorProto.Types.DataLocation.External;

    private static ModelProto Parse(Func<MessageParser<ModelProto>, ModelProto> parse)
    {
        try
        {
            // Discards unknown fields, such as comments, which contain paths of the exporter's machine.
            return parse(ModelProto.Parser.WithDiscardUnknownFields(true));
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new InvalidDataException($"It is not an ONNX file or is damaged: {e.Message}", e);
        }
    }

    private static long OpsetOf(ModelProto model)
    {
        var opset = model.OpsetImport.FirstOrDefault(set => IsStandard(set.Domain))?.Version
            ?? throw new InvalidDataException("Its version of the operators (opset_import) is missing.");
        return opset is >= OldestOpset and <= NewestOpset
            ? opset
            : throw new InvalidDataException(
                $"It uses opset {opset}; opsets {OldestOpset} to {NewestOpset} are supported. Export it with another opset_version.");
    }

    private static bool IsStandard(string domain) => domain is "" or "ai.onnx";

    private static Dictionary<string, TensorProto> Named(IEnumerable<TensorProto> tensors)
    {
        var named = new Dictionary<string, TensorProto>();
        foreach (var tensor in tensors)
        {
            if (!named.TryAdd(tensor.Name, tensor))
                throw new InvalidDataException($"Two tensors have the name '{tensor.Name}'.");
        }
        return named;
    }

    /// <exception cref="InvalidDataException">A value is computed twice, is missing, or depends on itself.</exception>
    private List<NodeProto> Order(GraphProto graph)
    {
        var makers = new Dictionary<string, NodeProto>();
        foreach (var node in graph.Node)
        {
            if (!IsStandard(node.Domain))
            {
                throw new InvalidDataException(
                    $"{new GraphNode(node, Opset)}: operators of '{node.Domain}' are not supported, only those of ONNX.");
            }
            foreach (var output in node.Output.Where(output => output.Length > 0))
            {
                if (_tensors.ContainsKey(output) || !makers.TryAdd(output, node))
                    throw new InvalidDataException($"{new GraphNode(node, Opset)}: the value '{output}' is computed twice.");
            }
        }
        if (graph.Output.Count == 0)
            throw new InvalidDataException("The graph has no result.");
        var given = graph.Input.Select(input => input.Name).ToHashSet();
        var (ordered, begun, done) = (new List<NodeProto>(), new HashSet<NodeProto>(), new HashSet<NodeProto>());
        // An explicit stack: with recursion, a long chain in a hostile file would overflow the call stack.
        var pending = new Stack<(string Name, NodeProto? Reader)>([(graph.Output[0].Name, null)]);
        while (pending.TryPeek(out var next))
        {
            var (name, reader) = next;
            if (!makers.TryGetValue(name, out var node))
            {
                if (!_tensors.ContainsKey(name) && !given.Contains(name))
                {
                    var where = reader is null ? "The graph" : new GraphNode(reader, Opset).ToString();
                    throw new InvalidDataException($"{where}: no node computes the value '{name}'.");
                }
                pending.Pop();
            }
            else if (done.Contains(node))
            {
                pending.Pop();
            }
            else if (begun.Add(node))
            {
                foreach (var input in node.Input.Where(input => input.Length > 0))
                {
                    if (makers.TryGetValue(input, out var maker) && begun.Contains(maker) && !done.Contains(maker))
                    {
                        throw new InvalidDataException(
                            $"{new GraphNode(node, Opset)}: it depends on its own result through the value '{input}'.");
                    }
                    pending.Push((input, node));
                }
            }
            else
            {
                pending.Pop();
                done.Add(node);
                ordered.Add(node);
            }
        }
        return ordered;
    }

    private void Prune(GraphProto graph)
    {
        var read = Nodes.SelectMany(node => node.Input).Append(graph.Output[0].Name).ToHashSet();
        foreach (var name in _tensors.Keys.Where(name => !read.Contains(name)).ToList())
            _tensors.Remove(name);
    }

    private string SingleInput(GraphProto graph)
    {
        // Files of IR version 3 and older list their weights among the inputs.
        var read = Nodes.SelectMany(node => node.Input).ToHashSet();
        var inputs = graph.Input.Select(input => input.Name)
            .Where(name => !_tensors.ContainsKey(name) && read.Contains(name)).Distinct().ToList();
        return inputs.Count == 1
            ? inputs[0]
            : throw new InvalidDataException(
                $"It has {inputs.Count} inputs ({string.Join(", ", inputs.Take(3))}); an image classifier has one, the images.");
    }

    private static List<long?> SizesOf(ValueInfoProto value) =>
        [.. (value.Type?.TensorType?.Shape?.Dim ?? []).Select(size =>
            size.ValueCase == TensorShapeProto.Types.Dimension.ValueOneofCase.DimValue && size.DimValue > 0 ? size.DimValue : (long?)null)];
}
