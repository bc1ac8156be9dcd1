using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks.Onnx;
using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>
/// Architectures that are not built in: factories of the application, which are found by name, and TorchScript modules and ONNX graphs,
/// which model files contain.
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
        return Factories[fullName] = new Family(
            fullName, (architecture, shape, classes) => new FactoryNetwork(fullName, factory, shape, classes));
    }

    public static Family? FindFactory(string fullName) => Factories.GetValueOrDefault(fullName);

    /// <summary>A TorchScript file.</summary>
    /// <exception cref="InvalidDataException">The file is not a TorchScript module.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static Family OpenScript(string path, Preprocessing preprocessing)
    {
        var script = File.ReadAllBytes(path);
        LibTorch.EnsureLoaded();
        try
        {
            jit.load(script).Dispose();
        }
        catch (ExternalException e)
        {
            throw new InvalidDataException($"'{path}' is not a TorchScript module: {e.Message.Split('\n')[0]}", e);
        }
        return OfScript(script, preprocessing);
    }

    public static Family OfScript(byte[] script, Preprocessing? preprocessing)
    {
        var name = NameOf(ScriptPrefix, script);
        return new Family(name, (architecture, shape, classes) => new ScriptNetwork(name, script, shape, classes))
        {
            Content = script,
            Preprocessing = preprocessing,
        };
    }

    /// <summary>An ONNX file: a graph with its weights.</summary>
    /// <exception cref="InvalidDataException">The file cannot be read as a network; the message names the node.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static Family OpenGraph(string path, OnnxInput input)
    {
        try
        {
            var (graph, preprocessing) = OnnxFile.Open(path, input);
            var content = graph.Content();
            // Checks that the content of a model file is sufficient.
            var shape = new ImageShape(preprocessing.Height, preprocessing.Width, preprocessing.Mean.Length);
            GraphNetwork.CountParameters(OnnxGraph.Read(content), shape);
            return OfGraph(graph, content) with { Preprocessing = preprocessing };
        }
        catch (InvalidDataException e)
        {
            throw new InvalidDataException($"'{path}' cannot be read as a network. {e.Message}", e);
        }
    }

    /// <summary>A graph from a model file, which stores the weights separately.</summary>
    /// <exception cref="InvalidDataException">The graph is damaged.</exception>
    public static Family OfGraph(byte[] content) => OfGraph(OnnxGraph.Read(content), content);

    /// <summary>The name of a script or graph, which follows from its content: equal content has the same name.</summary>
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
