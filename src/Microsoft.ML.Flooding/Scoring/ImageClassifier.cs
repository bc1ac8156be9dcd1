using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>A trained network on a device: pixels in, probabilities out. Any number of threads may score at once.</summary>
internal sealed class ImageClassifier : IDisposable
{
    private readonly Device _device;
    private readonly Normalization.PixelNormalizer _normalizer;

    /// <param name="network">With its trained weights; owned from here on.</param>
    /// <param name="description">What the network was trained for.</param>
    /// <param name="device">Where it computes.</param>
    public ImageClassifier(Network network, ModelDescription description, Device device)
    {
        Network = network;
        Description = description;
        _device = device;
        using var _ = no_grad();
        network.to(device);
        network.eval();
        network.ToChannelsLast();
        foreach (var parameter in network.parameters())
            parameter.requires_grad = false;
        _normalizer = description.Normalization.On(device);
    }

    public Network Network { get; }

    public ModelDescription Description { get; }

    public int Classes => Description.Labels.Count;

    /// <summary>Images scored in one pass: enough to keep the device busy.</summary>
    public int BatchSize => _device.type == DeviceType.CPU ? 64 : 256;

    /// <summary>Probabilities of each image, row after row.</summary>
    /// <param name="pixels">[N, H, W, C] raw pixels, uint8 or float32, on the CPU.</param>
    /// <param name="probabilities">N x classes values.</param>
    public void Score(Tensor pixels, Span<float> probabilities)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var logits = Network.forward(_normalizer.Apply(pixels.to(_device)));
        if (Description.Temperature != 1)
            logits.div_(Description.Temperature);
        logits.softmax(1).to(CPU).contiguous().data<float>().CopyTo(probabilities);
    }

    public void Dispose()
    {
        Network.Dispose();
        _normalizer.Dispose();
    }
}
