using System.Collections.Concurrent;
using System.Security.Cryptography;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks.Onnx;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>
/// Architectures that are not built in: those that a factory makes, found by name, and TorchScript and ONNX, which are their own
/// description.
/// </summary>
internal static class CustomArchitectures
{
    public const string FactoryPrefix = "factory:";
    public const string ScriptPrefix = "torchscript:";
    public const string GraphPrefix = "onnx:";

    private static readonly ConcurrentDictionary<string, Family> Factories = new();

    public static Family Register(string name, Func<int, int, nn.Module<Tensor, Tensor>> factory)
    {
        var fullName = FactoryPrefix + name;
        return Factories[fullName] = new Family(fullName, (architecture, shape, classes) => new FactoryNetwork(fullName, factory, shape, classes));
    }

    public static Family? FindFactory(string fullName) => Factories.GetValueOrDefault(fullName);

    public static Family OfScript(byte[] script, Preprocessing? preprocessing)
    {
        var name = NameOf(ScriptPrefix, script);
        return new Family(name, (architecture, shape, classes) => new ScriptNetwork(name, script, shape, classes))
        {
            Content = script,
            Preprocessing = preprocessing,
        };
    }

    /// <summary>A graph with its weights.</summary>
    /// <exception cref="InvalidDataException">It cannot be read as a network; the message names the node.</exception>
    public static Family OfGraph(OnnxGraph graph, Preprocessing preprocessing)
    {
        var content = graph.Content();
        // What a model file will hold must be enough.
        GraphNetwork.CountParameters(OnnxGraph.Read(content), new ImageShape(preprocessing.Height, preprocessing.Width, preprocessing.Mean.Length));
        return OfGraph(graph, content) with { Preprocessing = preprocessing };
    }

    /// <summary>A graph from a model file, whose weights are beside it.</summary>
    /// <exception cref="InvalidDataException">It is damaged.</exception>
    public static Family OfGraph(byte[] content) => OfGraph(OnnxGraph.Read(content), content);

    /// <summary>Two scripts, or two graphs, have one name exactly when they are the same.</summary>
    public static string NameOf(string prefix, byte[] content) => prefix + Convert.ToHexStringLower(SHA256.HashData(content));

    private static Family OfGraph(OnnxGraph graph, byte[] content)
    {
        var name = NameOf(GraphPrefix, content);
        return new Family(name, (architecture, shape, classes) => new GraphNetwork(name, graph, content, shape, classes))
        {
            Content = content,
            LeastParameters = shape => GraphNetwork.CountParameters(graph, shape),
        };
    }
}
