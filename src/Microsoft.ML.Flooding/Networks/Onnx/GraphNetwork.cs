using System.Globalization;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks.Onnx;

/// <summary>
/// The network of an ONNX graph. Its layers are numbered within blocks, from the image on: <c>blocks.3.0.weight</c>; the last is
/// <c>head</c>.
/// </summary>
internal sealed class GraphNetwork : Network
{
    private readonly byte[] _content;
    private readonly GraphProgram _program;
    private readonly bool _hasWeights;
    private readonly bool _hasHead;

    /// <param name="name">Of the architecture.</param>
    /// <param name="graph">With its weights, or without: then they are to be loaded or drawn.</param>
    /// <param name="content">The graph for a model file.</param>
    /// <param name="shape">Of the images.</param>
    /// <param name="classes">The number of logits.</param>
    /// <exception cref="ArgumentException">The graph cannot take such images.</exception>
    public GraphNetwork(string name, OnnxGraph graph, byte[] content, ImageShape shape, int classes) : base(name)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        _content = content;
        _hasWeights = graph.HasWeights;
        var head = Find(graph, shape, allocates: true, out var builder);
        _program = GraphProgram.Of(builder, head.Features);
        this.Register("blocks", new Naming([.. _program.Blocks().Select((block, i) =>
            (i.ToString(CultureInfo.InvariantCulture),
                (nn.Module)new Naming([.. block.Select((module, j) => (j.ToString(CultureInfo.InvariantCulture), module))])))]));
        Head = this.Register("head", nn.Linear(nn.Parameter(empty(classes, head.Features.One[1])), nn.Parameter(empty(classes))));
        _hasHead = _hasWeights && head.Classes == classes;
        if (_hasHead)
            Copy(head);
        foreach (var unused in builder.Steps.SelectMany(step => step.Operation.Modules).Except(modules()))
            unused.Dispose();
    }

    public override Linear Head { get; }

    public override byte[]? Content => _content;

    /// <summary>
    /// The number of parameters before the head of the network that a graph is for such images; takes no memory for those the graph has
    /// not.
    /// </summary>
    /// <exception cref="InvalidDataException">The graph cannot be read as a network; the message names the node.</exception>
    public static double CountParameters(OnnxGraph graph, ImageShape shape)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var head = Find(graph, shape, allocates: false, out var builder);
        var count = GraphProgram.Of(builder, head.Features).Blocks().SelectMany(block => block).SelectMany(module =>
            module.parameters()).Sum(parameter => (double)parameter.numel());
        foreach (var module in builder.Steps.SelectMany(step => step.Operation.Modules))
            module.Dispose();
        return count;
    }

    public override T Features<T>(IOperators<T> op, T x) => _program.Run(op, x);

    /// <summary>The weights of the graph stay; a head that is not the graph's is drawn.</summary>
    public override void Initialize(Generator generator)
    {
        using var _ = no_grad();
        if (!_hasWeights)
            base.Initialize(generator);
        else if (!_hasHead)
            InitializeModule(Head, generator);
    }

    protected override void InitializeModule(nn.Module module, Generator generator)
    {
        if (module is GraphConstant { Values: { requires_grad: true } values })
            Initialization.TruncatedNormal(values, 0.02, generator);
        else
            base.InitializeModule(module, generator);
    }

    private void Copy(OnnxHead head)
    {
        Head.weight!.copy_(head.Classifier?.weight!.Times(head.Factor) ?? eye(head.Features.One[1]));
        if (head.Classifier?.bias is { } bias)
            Head.bias!.copy_(bias.Times(head.Factor));
        else
            Head.bias!.zero_();
    }

    private static OnnxHead Find(OnnxGraph graph, ImageShape shape, bool allocates, out GraphBuilder builder)
    {
        (builder, var output) = OnnxImport.Read(graph, shape, allocates);
        return OnnxHead.Find(builder, output);
    }
}
