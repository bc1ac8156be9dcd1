using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>Scores with libtorch, on the CPU or on a GPU.</summary>
internal sealed class LibTorchScorer : Scorer
{
    private readonly Network _network;
    private readonly ModelDescription _description;
    private readonly Device _device;
    private readonly ScalarType _type;
    private readonly Lock _planning = new();
    private readonly Normalization.PixelNormalizer _normalizer;
    private readonly HeapRetention _heap;
    private volatile InferencePlan? _plan;

    /// <param name="network">The network on the CPU, with its trained weights. It belongs to the caller.</param>
    /// <param name="description">The description of the model.</param>
    /// <param name="device">The device that scores.</param>
    public LibTorchScorer(Network network, ModelDescription description, Device device)
    {
        _network = network;
        _description = description;
        _device = device;
        // A network of unknown layers computes in the type of its weights, which do not change.
        _type = network.IsInterpretable ? description.ScoringPrecision.ForScoringOn(device) : ScalarType.Float32;
        _normalizer = description.Normalization.On(device);
        BatchSize = InferenceBatch.Of(network, description.Shape, _type, device);
        _heap = HeapRetention.ForScoring();
    }

    public override int BatchSize { get; }

    public override void Score(PixelBatch pixels, Span<float> probabilities)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var raw = ToTensor(pixels);
        var input = _normalizer.Apply(_device.type == DeviceType.CPU ? raw : raw.to(_device));
        var logits = Plan().Run(_type == ScalarType.Float32 ? input : input.to(_type));
        if (_description.Temperature != 1)
            logits = logits.to(ScalarType.Float32).Over(_description.Temperature);
        var scores = logits.softmax(1, ScalarType.Float32);
        (_device.type == DeviceType.CPU ? scores : scores.cpu()).data<float>().CopyTo(probabilities);
    }

    public override void Dispose()
    {
        _plan?.Dispose();
        _normalizer.Dispose();
        _heap.Dispose();
    }

    private static unsafe Tensor ToTensor(PixelBatch pixels)
    {
        var shape = pixels.Shape;
        var tensor = empty(
            [pixels.Count, shape.Height, shape.Width, shape.Channels], pixels.AreFloats ? ScalarType.Float32 : ScalarType.Byte, CPU);
        // The length of Tensor.bytes is a 32-bit integer; the pointer to the first image has no such limit.
        using var first = tensor.narrow(0, 0, Math.Min(1, pixels.Count));
        Buffer.MemoryCopy(
            (void*)pixels.Start, Unsafe.AsPointer(ref MemoryMarshal.GetReference(first.bytes)), pixels.Length, pixels.Length);
        return tensor;
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
}
