using System.Runtime.InteropServices;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Networks.Onnx;
using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>
/// The weights of a trained network. A loaded model has them as the bytes of its file, with the graph that ONNX Runtime scores; a network
/// of libtorch is created from them when something needs it. After training there is such a network, and bytes and graph come from it.
/// Thread-safe.
/// </summary>
internal sealed class TrainedNetwork : IDisposable
{
    private readonly Lock _gate = new();
    private readonly ModelDescription _description;
    private Network? _network;
    private SafetensorsFile? _weights;
    private ModelProto? _graph;

    /// <param name="network">The network, on the CPU. This object owns it.</param>
    /// <param name="description">The description of the model.</param>
    public TrainedNetwork(Network network, ModelDescription description)
    {
        Architecture = Architecture.Load(description.Architecture, network.Content);
        _description = description;
        _network = network;
        HasGraph = network.IsInterpretable && network.State().Sum(entry => entry.Tensor.numel()) < MostWeights;
    }

    /// <param name="architecture">The architecture.</param>
    /// <param name="description">The description of the model.</param>
    /// <param name="weights">The weights, in memory. This object owns them.</param>
    /// <param name="graph">The graph, which was checked.</param>
    public TrainedNetwork(Architecture architecture, ModelDescription description, SafetensorsFile weights, ModelProto graph)
    {
        Architecture = architecture;
        _description = description;
        _weights = weights;
        _graph = graph;
        HasGraph = true;
    }

    /// <summary>The largest number of weights that ONNX can hold in one message, which has at most 2 GB.</summary>
    public static long MostWeights => (int.MaxValue / sizeof(float)) - (1 << 20);

    public Architecture Architecture { get; }

    /// <summary>Whether ONNX Runtime can score the network.</summary>
    public bool HasGraph { get; }

    /// <summary>The names and shapes of the weights and buffers, in the order of the network.</summary>
    public IReadOnlyList<(string Name, long[] Shape)> Shapes()
    {
        lock (_gate)
        {
            return _weights is { } weights
                ? [.. weights.Entries.Select(entry => (entry.Name, entry.Shape.ToArray()))]
                : [.. _network!.State().Select(entry => (entry.Name, entry.Tensor.shape))];
        }
    }

    /// <summary>A copy of the values of a weight or buffer as float32; null if there is none of this name.</summary>
    public float[]? Values(string name)
    {
        lock (_gate)
        {
            if (_weights is { } weights)
            {
                return weights.Find(name) is not { } entry ? null
                    : entry.Type == ScalarType.Float32 ? MemoryMarshal.Cast<byte, float>(weights.Bytes(name).Span).ToArray()
                    // The number of batches that a batch norm has seen.
                    : entry.Type == ScalarType.Int64
                    ? [.. MemoryMarshal.Cast<byte, long>(weights.Bytes(name).Span).ToArray().Select(value => (float)value)]
                    : throw new InvalidDataException($"'{name}' has the type {entry.Type}.");
            }
            using var scope = NewDisposeScope();
            var tensor = _network!.State().FirstOrDefault(entry => entry.Name == name).Tensor;
            return tensor?.detach().to(ScalarType.Float32).contiguous().data<float>().ToArray();
        }
    }

    /// <summary>The graph without weights.</summary>
    public ModelProto Graph()
    {
        lock (_gate)
            return _graph ??= OnnxModel.WithoutWeights(_network!, _description);
    }

    /// <summary>The weights in memory. The caller disposes of them.</summary>
    public SafetensorsFile Weights()
    {
        lock (_gate)
        {
            if (_weights is { } weights)
                return weights.Share();
            using var stream = new MemoryStream();
            Safetensors.Write(stream, _network!.State());
            stream.Position = 0;
            using var bytes = NativeBytes.Read(stream, stream.Length);
            return SafetensorsFile.Read(bytes);
        }
    }

    /// <summary>Writes the weights as a safetensors file.</summary>
    public void WriteWeights(Stream stream, IReadOnlyDictionary<string, string> metadata)
    {
        lock (_gate)
        {
            if (_weights is { } weights)
                weights.CopyTo(stream);
            else
                Safetensors.Write(stream, _network!.State(), metadata);
        }
    }

    /// <summary>The network, which has the weights as trained. It belongs to this object.</summary>
    /// <exception cref="InvalidOperationException">libtorch cannot be loaded.</exception>
    public Network Network()
    {
        lock (_gate)
        {
            if (_network is null)
            {
                LibTorch.EnsureLoaded();
                _network = Load(Architecture, _description, _weights!);
                // The network has the weights now.
                _weights!.Dispose();
                _weights = null;
            }
            return _network;
        }
    }

    /// <summary>Creates a network from a file of weights.</summary>
    /// <exception cref="InvalidDataException">The weights are not those of the architecture.</exception>
    public static Network Load(Architecture architecture, ModelDescription description, SafetensorsFile weights)
    {
        using var scope = NewDisposeScope();
        var network = architecture.CreateEmpty(description.Shape, description.Labels.Count);
        try
        {
            network.AdoptState(weights.LoadAll());
            return network;
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    /// <summary>A copy for another model, which shares the bytes or has a network of its own.</summary>
    public TrainedNetwork Copy(ModelDescription description)
    {
        lock (_gate)
        {
            if (_weights is { } weights)
                return new TrainedNetwork(Architecture, description, weights.Share(), _graph!);
        }
        return new TrainedNetwork(CopyNetwork(), description);
    }

    /// <summary>A network with the same weights, on the CPU. It belongs to the caller.</summary>
    public Network CopyNetwork()
    {
        var network = Network();
        var copy = Architecture.CreateEmpty(_description.Shape, _description.Labels.Count);
        try
        {
            copy.LoadState(network.State().ToDictionary(entry => entry.Name, entry => entry.Tensor));
            return copy;
        }
        catch
        {
            copy.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        _network?.Dispose();
        _weights?.Dispose();
    }
}
