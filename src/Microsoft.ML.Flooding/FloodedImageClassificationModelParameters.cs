using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Scoring;
using TorchSharp;

namespace Microsoft.ML.Flooding;

/// <summary>The parameters of a trained network: <see cref="FloodedImageClassificationTransformer.Model"/>.</summary>
public sealed class FloodedImageClassificationModelParameters
{
    private readonly ImageClassifier _classifier;

    internal FloodedImageClassificationModelParameters(ImageClassifier classifier, Architecture architecture)
    {
        _classifier = classifier;
        Architecture = architecture;
    }

    /// <summary>The network, never <see cref="Architecture.Auto"/>.</summary>
    public Architecture Architecture { get; }

    /// <summary>
    /// The shape of each weight and buffer of the network, such as [64, 3, 7, 7], by its name in torchvision, such as conv1.weight, in the
    /// network's order.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed of.</exception>
    public IReadOnlyList<KeyValuePair<string, IReadOnlyList<long>>> Shapes =>
        Read(network => network.State()
            .Select(entry => KeyValuePair.Create<string, IReadOnlyList<long>>(entry.Name, entry.Tensor.shape)).ToArray());

    /// <summary>A copy of the values of a weight or buffer, as float32, the last dimension of its shape varying fastest.</summary>
    /// <param name="name">A name of <see cref="Shapes"/>.</param>
    /// <exception cref="ArgumentException">The network has no weight or buffer of this name.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed of.</exception>
    public float[] GetValues(string name) => Read(network =>
    {
        using var scope = torch.NewDisposeScope();
        foreach (var (found, tensor) in network.State())
            if (found == name)
                return tensor.detach().to(torch.ScalarType.Float32).contiguous().data<float>().ToArray();
        throw new ArgumentException(
            $"The network {Architecture} has no weight or buffer '{name}'. {nameof(Shapes)} lists their names.", nameof(name));
    });

    private T Read<T>(Func<Network, T> read)
    {
        T? result = default;
        _classifier.Read(network => result = read(network));
        return result!;
    }
}
