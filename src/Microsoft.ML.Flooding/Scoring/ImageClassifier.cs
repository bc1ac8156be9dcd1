using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>
/// A trained network on a device, which turns pixels into probabilities. Thread-safe. When the classifier is disposed of, calls in progress
/// complete, and later calls throw an <see cref="ObjectDisposedException"/>.
/// </summary>
internal sealed class ImageClassifier : IDisposable
{
    // The size of the largest result relative to the image: that of MobileNetV2 at 224 x 224, which is typical of common networks.
    private const int UnknownNetworkWidening = 8;

    private readonly Device _device;
    private readonly Network _network;
    private readonly ScalarType _type;
    private readonly Lock _planning = new();
    private readonly Normalization.PixelNormalizer _normalizer;
    private readonly SharedLifetime _lifetime;
    private readonly HeapRetention _heap;
    private volatile InferencePlan? _plan;

    /// <param name="network">The network on the CPU, with its trained weights. The classifier owns it.</param>
    /// <param name="description">The description of the model.</param>
    /// <param name="device">The device that scores.</param>
    /// <param name="owner">The type that users dispose of, which an <see cref="ObjectDisposedException"/> names.</param>
    public ImageClassifier(Network network, ModelDescription description, Device device, Type owner)
    {
        _network = network;
        Description = description;
        _device = device;
        // A network of unknown layers computes in the type of its weights, which do not change.
        _type = network.IsInterpretable ? description.ScoringPrecision.On(device) : ScalarType.Float32;
        _normalizer = description.Normalization.On(device);
        BatchSize = BatchOf(network, device);
        _heap = HeapRetention.ForScoring();
        _lifetime = new SharedLifetime(owner, Release);
    }

    public ModelDescription Description { get; }

    public int Classes => Description.Labels.Count;

    /// <summary>The number of images scored in one pass: enough to keep the device busy without using too much of its memory.</summary>
    public int BatchSize { get; set; }

    /// <exception cref="ObjectDisposedException">The classifier was disposed of.</exception>
    public void ThrowIfDisposed() => _lifetime.ThrowIfEnded();

    /// <summary>Computes the probabilities of each image, one image after the other.</summary>
    /// <param name="pixels">[N, H, W, C] raw pixels, uint8 or float32, on the CPU.</param>
    /// <param name="probabilities">The output: N x classes values.</param>
    /// <exception cref="ObjectDisposedException">The classifier was disposed of.</exception>
    public void Score(Tensor pixels, Span<float> probabilities)
    {
        using var use = _lifetime.Enter();
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var input = _normalizer.Apply(_device.type == DeviceType.CPU ? pixels : pixels.to(_device));
        var logits = Plan().Run(_type == ScalarType.Float32 ? input : input.to(_type));
        if (Description.Temperature != 1)
            logits = logits.to(ScalarType.Float32).Over(Description.Temperature);
        var scores = logits.softmax(1, ScalarType.Float32);
        (_device.type == DeviceType.CPU ? scores : scores.cpu()).data<float>().CopyTo(probabilities);
    }

    /// <summary>Calls <paramref name="read"/> with the network, which has the weights as trained.</summary>
    /// <exception cref="ObjectDisposedException">The classifier was disposed of.</exception>
    public void Read(Action<Network> read)
    {
        using var use = _lifetime.Enter();
        read(_network);
    }

    public void Dispose() => _lifetime.End();

    /// <summary>
    /// On a CPU, the number of images for which the largest result of a layer takes 32 MB: fewer do not keep the cores busy, and with more
    /// the results in use exceed the memory that <see cref="HeapRetention.ForScoring"/> keeps. A GPU needs more images at a time.
    /// </summary>
    private int BatchOf(Network network, Device device)
    {
        var largest = network.IsInterpretable
            ? Math.Max(Complexity.Of(network, Description.Shape).LargestResult, Description.Shape.Length)
            : UnknownNetworkWidening * (long)Description.Shape.Length;
        largest *= _type == ScalarType.Float32 ? sizeof(float) : sizeof(float) / 2;
        return device.type == DeviceType.CPU
            ? (int)Math.Clamp((32 << 20) / largest, 1, 256)
            : (int)Math.Clamp((1 << 30) / largest, 1, 1024);
    }

    /// <summary>
    /// Builds the plan at the first use: a model that is loaded for further training, export or inspection does not need it. If this fails,
    /// for example for lack of memory, the next use tries again.
    /// </summary>
    private InferencePlan Plan()
    {
        if (_plan is { } plan)
            return plan;
        lock (_planning)
            return _plan ??= InferencePlanBuilder.Build(_network, _device, _type);
    }

    private void Release()
    {
        _plan?.Dispose();
        _normalizer.Dispose();
        _network.Dispose();
        _heap.Dispose();
    }
}
