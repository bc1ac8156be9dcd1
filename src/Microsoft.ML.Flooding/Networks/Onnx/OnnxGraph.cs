using Google.Protobuf;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks.Onnx;

/// <summary>
/// An ONNX graph from one image to one result: checked, in the order of computation, and without what the result does not need.
/// </summary>
internal sealed class OnnxGraph
{
    private const long OldestOpset = 7;
    private const long NewestOpset = 21;

    // A tensor of a single value may be an exponent, a bound or a rate, which the graph cannot be understood without.
    private const int MostKeptValues = 1;

    private readonly ModelProto _model;
    private readonly Dictionary<string, TensorProto> _tensors;

    private OnnxGraph(ModelProto model)
    {
        _model = model;
        var graph = model.Graph ?? throw new InvalidDataException("It holds no graph.");
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

    /// <summary>In an order in which each follows those that it reads from.</summary>
    public IReadOnlyList<NodeProto> Nodes { get; private set; }

    /// <summary>The weights and constants by name.</summary>
    public IReadOnlyDictionary<string, TensorProto> Tensors => _tensors;

    /// <summary>Sizes of the input's axes; null for those that are open.</summary>
    public IReadOnlyList<long?> InputSizes => SizesOf(_model.Graph.Input.First(value => value.Name == Input));

    /// <summary>Whether the graph has the values of its weights, and not their shapes alone.</summary>
    public bool HasWeights => !_tensors.Values.Any(IsMissing);

    /// <summary>Reads a file, with the data that it keeps in other files of its folder.</summary>
    /// <exception cref="InvalidDataException">It is no ONNX file, or is damaged.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
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
    /// <exception cref="InvalidDataException">It is damaged.</exception>
    public static OnnxGraph Read(byte[] content) => new(Parse(parser => parser.ParseFrom(content)));

    /// <summary>The graph without its weights: nothing of them but their shapes, and nothing of where it came from.</summary>
    public byte[] Content()
    {
        var graph = new GraphProto { Node = { Nodes }, Input = { Named(Input) }, Output = { new ValueInfoProto { Name = Output } } };
        foreach (var tensor in _tensors.Values.OrderBy(tensor => tensor.Name, StringComparer.Ordinal))
        {
            var isWeight = OnnxTensor.TypeOf(tensor) == ScalarType.Float32 && OnnxTensor.Count(tensor) > MostKeptValues;
            graph.Initializer.Add(isWeight ? ShapeOf(tensor) : tensor);
        }
        return ModelOf(graph).ToByteArray();

        static TensorProto ShapeOf(TensorProto tensor) => new()
        {
            Name = tensor.Name,
            Dims = { tensor.Dims },
            DataType = tensor.DataType,
            DataLocation = TensorProto.Types.DataLocation.External,
        };

        ValueInfoProto Named(string name) => _model.Graph.Input.First(value => value.Name == name);
    }

    /// <summary>A graph that begins with nodes of one's own.</summary>
    /// <param name="sizes">Of the axes of its input; null for those that are open.</param>
    /// <param name="build">Adds nodes and tensors, given the name of the new input; gives the name of what the graph then reads.</param>
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
            shape.Dim.Add(size is { } known ? new TensorShapeProto.Types.Dimension { DimValue = known }
                : new TensorShapeProto.Types.Dimension { DimParam = "N" });
        graph.Input.Add(new ValueInfoProto
        {
            Name = input,
            Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = TensorProto.Types.DataType.Float, Shape = shape } },
        });
        return new OnnxGraph(ModelOf(graph));
    }

    /// <summary>This graph behind another one, whose result it reads.</summary>
    /// <exception cref="InvalidDataException">The two are in different versions of the operators.</exception>
    public OnnxGraph Behind(OnnxGraph first)
    {
        if (first.Opset != Opset)
            throw new InvalidDataException($"The preprocessing graph is in opset {first.Opset}, the network in opset {Opset}.");
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

    private ModelProto ModelOf(GraphProto graph) =>
        new() { IrVersion = _model.IrVersion, Graph = graph, OpsetImport = { new OperatorSetIdProto { Version = Opset } } };

    /// <summary>A name that no value of the graph has.</summary>
    public string Unused(string name)
    {
        while (_tensors.ContainsKey(name) || Nodes.Any(node => node.Output.Contains(name) || node.Input.Contains(name)))
            name += "'";
        return name;
    }

    private static bool IsMissing(TensorProto tensor) => tensor.DataLocation == TensorProto.Types.DataLocation.External;

    private static ModelProto Parse(Func<MessageParser<ModelProto>, ModelProto> parse)
    {
        try
        {
            // What is not known is left out: among it comments, which hold paths of the exporter's machine.
            return parse(ModelProto.Parser.WithDiscardUnknownFields(true));
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new InvalidDataException($"It is no ONNX file, or is damaged: {e.Message}", e);
        }
    }

    private static long OpsetOf(ModelProto model)
    {
        var opset = model.OpsetImport.FirstOrDefault(set => IsStandard(set.Domain))?.Version
            ?? throw new InvalidDataException("It does not say which version of the operators it uses (opset_import).");
        return opset is >= OldestOpset and <= NewestOpset
            ? opset
            : throw new InvalidDataException(
                $"It uses opset {opset}; {OldestOpset} to {NewestOpset} are read. Export it with another opset_version.");
    }

    private static bool IsStandard(string domain) => domain is "" or "ai.onnx";

    private static Dictionary<string, TensorProto> Named(IEnumerable<TensorProto> tensors)
    {
        var named = new Dictionary<string, TensorProto>();
        foreach (var tensor in tensors)
        {
            if (!named.TryAdd(tensor.Name, tensor))
                throw new InvalidDataException($"There are two tensors '{tensor.Name}'.");
        }
        return named;
    }

    /// <exception cref="InvalidDataException">A value is given twice, missing, or needs itself.</exception>
    private List<NodeProto> Order(GraphProto graph)
    {
        var makers = new Dictionary<string, NodeProto>();
        foreach (var node in graph.Node)
        {
            if (!IsStandard(node.Domain))
                throw new InvalidDataException(
                    $"{new GraphNode(node, Opset)}: operators of '{node.Domain}' are not read, only ONNX's own.");
            foreach (var output in node.Output.Where(output => output.Length > 0))
            {
                if (_tensors.ContainsKey(output) || !makers.TryAdd(output, node))
                    throw new InvalidDataException($"{new GraphNode(node, Opset)}: the value '{output}' is given twice.");
            }
        }
        if (graph.Output.Count == 0)
            throw new InvalidDataException("The graph gives no result.");
        var given = graph.Input.Select(input => input.Name).ToHashSet();
        var (ordered, begun, done) = (new List<NodeProto>(), new HashSet<NodeProto>(), new HashSet<NodeProto>());
        // By hand in place of calls: a long chain in a hostile file would overflow the stack.
        var pending = new Stack<(string Name, NodeProto? Reader)>([(graph.Output[0].Name, null)]);
        while (pending.TryPeek(out var next))
        {
            var (name, reader) = next;
            if (!makers.TryGetValue(name, out var node))
            {
                if (!_tensors.ContainsKey(name) && !given.Contains(name))
                    throw new InvalidDataException(
                        $"{(reader is null ? "The graph" : new GraphNode(reader, Opset).ToString())}: nothing gives the value '{name}'.");
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
                        throw new InvalidDataException(
                            $"{new GraphNode(node, Opset)}: it needs its own result, through the value '{input}'.");
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
        // Files of version 3 and older list their weights among the inputs.
        var read = Nodes.SelectMany(node => node.Input).ToHashSet();
        var inputs = graph.Input.Select(input => input.Name).Where(name => !_tensors.ContainsKey(name)
            && read.Contains(name)).Distinct().ToList();
        return inputs.Count == 1
            ? inputs[0]
            : throw new InvalidDataException(
                $"It has {inputs.Count} inputs ({string.Join(", ", inputs.Take(3))}); a classifier has one, the images.");
    }

    // A size that is not given is 0 to protobuf, and open to ONNX.
    private static List<long?> SizesOf(ValueInfoProto value) =>
        [.. (value.Type?.TensorType?.Shape?.Dim ?? []).Select(size => size.DimValue > 0 ? size.DimValue : (long?)null)];
}
