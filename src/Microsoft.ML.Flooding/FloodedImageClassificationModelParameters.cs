using Microsoft.ML.Flooding.Scoring;

namespace Microsoft.ML.Flooding;

/// <summary>The parameters of a trained network: <see cref="FloodedImageClassificationTransformer.Model"/>.</summary>
public sealed class FloodedImageClassificationModelParameters
{
    private readonly ImageClassifier _classifier;

    internal FloodedImageClassificationModelParameters(ImageClassifier classifier) => _classifier = classifier;

    /// <summary>The network, never <see cref="Architecture.Auto"/>.</summary>
    public Architecture Architecture => _classifier.Architecture;

    /// <summary>
    /// The shape of each weight and buffer of the network, such as [64, 3, 7, 7], by its name in torchvision, such as conv1.weight, in the
    /// network's order.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed of.</exception>
    public IReadOnlyList<KeyValuePair<string, IReadOnlyList<long>>> Shapes =>
        _classifier.Read(network => network.Shapes()
            .Select(entry => KeyValuePair.Create<string, IReadOnlyList<long>>(entry.Name, entry.Shape)).ToArray());

    /// <summary>A copy of the values of a weight or buffer, as float32, the last dimension of its shape varying fastest.</summary>
    /// <param name="name">A name of <see cref="Shapes"/>.</param>
    /// <exception cref="ArgumentException">The network has no weight or buffer of this name.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed of.</exception>
    public float[] GetValues(string name) => _classifier.Read(network => network.Values(name)
        ?? throw new ArgumentException(
            $"The network {Architecture} has no weight or buffer '{name}'. {nameof(Shapes)} lists their names.", nameof(name)));
}
