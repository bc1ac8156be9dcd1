using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>
/// A trained network on a device: pixels in, probabilities out. Any number of threads may score at once; those that are at it when it is
/// disposed of finish, later ones get an <see cref="ObjectDisposedException"/>.
/// </summary>
internal sealed class ImageClassifier : IDisposable
{
    // The largest result over the image: MobileNetV2's at 224 x 224, which lies in the midst of common networks.
    private const int UnknownNetworkWidening = 8;

    private readonly Device _device;
    private readonly Network _network;
    private readonly ScalarType _type;
    private readonly Lock _planning = new();
    private readonly Normalization.PixelNormalizer _normalizer;
    private readonly SharedLifetime _lifetime;
    private readonly HeapRetention _heap;
    private volatile InferencePlan? _plan;

    /// <param name="network">On the CPU, with its trained weights; owned from here on.</param>
    /// <param name="description">What the network was trained for.</param>
    /// <param name="device">Where it computes.</param>
    /// <param name="owner">The type that users dispose of; an <see cref="ObjectDisposedException"/> names it.</param>
    public ImageClassifier(Network network, ModelDescription description, Device device, Type owner)
    {
        _network = network;
        Description = description;
        _device = device;
        // A network whose insides are not known computes in the type of its weights, and those are kept as they were trained.
        _type = network.IsInterpretable ? description.ScoringPrecision.On(device) : ScalarType.Float32;
        _normalizer = description.Normalization.On(device);
        BatchSize = BatchOf(network, device);
        _heap = HeapRetention.ForScoring();
        _lifetime = new SharedLifetime(owner, Release);
    }

    public ModelDescription Description { get; }

    public int Classes => Description.Labels.Count;

    /// <summary>Images scored in one pass: enough to keep the device busy, and no more than is good for its memory.</summary>
    public int BatchSize { get; set; }

    /// <exception cref="ObjectDisposedException">The classifier was disposed of.</exception>
    public void ThrowIfDisposed() => _lifetime.ThrowIfEnded();

    /// <summary>Probabilities of each image, row after row.</summary>
    /// <param name="pixels">[N, H, W, C] raw pixels, uint8 or float32, on the CPU.</param>
    /// <param name="probabilities">N x classes values.</param>
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

    /// <summary>Reads the network: its weights as they were trained.</summary>
    /// <exception cref="ObjectDisposedException">The classifier was disposed of.</exception>
    public void Read(Action<Network> read)
    {
        using var use = _lifetime.Enter();
        read(_network);
    }

    public void Dispose() => _lifetime.End();

    /// <summary>
    /// So many that the largest result of a layer takes 32 MB on a CPU: fewer do not occupy its cores, and with more the results that are needed at
    /// once exceed the memory that <see cref="HeapRetention.ForScoring"/> keeps. A GPU wants more images at once.
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
    /// Made at the first use: a model that is loaded to be trained further, exported or looked at is never asked for it. If it cannot be made, for
    /// want of memory perhaps, the next use tries again.
    /// </summary>
    private InferencePlan Plan()
    {
        if (_plan is { } made)
            return made;
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
