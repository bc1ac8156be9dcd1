using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>
/// A trained network and the engine that scores with it: it turns pixels into probabilities. Thread-safe. When the classifier is disposed
/// of, calls in progress complete, and later calls throw an <see cref="ObjectDisposedException"/>.
/// </summary>
internal sealed class ImageClassifier : IDisposable
{
    private readonly TrainedNetwork _network;
    private readonly Scorer _scorer;
    private readonly SharedLifetime _lifetime;

    /// <param name="network">The network. The classifier owns it.</param>
    /// <param name="description">The description of the model.</param>
    /// <param name="gpu">The number of the GPU to compute on; null for the CPU.</param>
    /// <param name="owner">The type that users dispose of, which an <see cref="ObjectDisposedException"/> names.</param>
    /// <exception cref="InvalidOperationException">The engine of the description cannot score the model, or is not installed.</exception>
    public ImageClassifier(TrainedNetwork network, ModelDescription description, int? gpu, Type owner)
    {
        _network = network;
        Description = description;
        Engine = EngineSelection.Choose(network, description, gpu);
        _scorer = Engine == ScoringEngine.OnnxRuntime
            ? new OnnxRuntimeScorer(network, description)
            : new LibTorchScorer(network.Network(), description, DeviceSelection.DeviceOf(gpu));
        BatchSize = _scorer.BatchSize;
        _lifetime = new SharedLifetime(owner, Release);
    }

    public ModelDescription Description { get; }

    /// <summary>The engine that scores, never <see cref="ScoringEngine.Auto"/>.</summary>
    public ScoringEngine Engine { get; }

    public Architecture Architecture => _network.Architecture;

    public int Classes => Description.Labels.Count;

    /// <summary>The number of images scored in one pass.</summary>
    public int BatchSize { get; set; }

    /// <exception cref="ObjectDisposedException">The classifier was disposed of.</exception>
    public void ThrowIfDisposed() => _lifetime.ThrowIfEnded();

    /// <summary>Computes the probabilities of each image, one image after the other.</summary>
    /// <param name="pixels">The raw pixels.</param>
    /// <param name="probabilities">The output: N x classes values.</param>
    /// <exception cref="ObjectDisposedException">The classifier was disposed of.</exception>
    public void Score(PixelBatch pixels, Span<float> probabilities)
    {
        using var use = _lifetime.Enter();
        _scorer.Score(pixels, probabilities);
    }

    /// <summary>Calls <paramref name="read"/> with the network, which has the weights as trained.</summary>
    /// <exception cref="ObjectDisposedException">The classifier was disposed of.</exception>
    public T Read<T>(Func<TrainedNetwork, T> read)
    {
        using var use = _lifetime.Enter();
        return read(_network);
    }

    /// <inheritdoc cref="Read{T}"/>
    public void Read(Action<TrainedNetwork> read)
    {
        using var use = _lifetime.Enter();
        read(_network);
    }

    public void Dispose() => _lifetime.End();

    private void Release()
    {
        _scorer.Dispose();
        _network.Dispose();
    }
}
