using Microsoft.ML.Flooding.Images;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>How many images a network computes at a time without gradients, in scoring and in validation.</summary>
internal static class InferenceBatch
{
    // The size of the largest result relative to the image: that of MobileNetV2 at 224 x 224, which is typical of common networks.
    private const int UnknownNetworkWidening = 8;

    /// <summary>
    /// On a CPU, the number of images for which the largest result of a layer takes 32 MB: fewer do not keep the cores busy, and with more
    /// the results in use exceed the memory that the process keeps while it scores. A GPU needs more images at a time.
    /// </summary>
    /// <param name="network">A <see cref="Network"/>, or another module, whose layers are unknown.</param>
    /// <param name="shape">The shape of an image.</param>
    /// <param name="precision">The type that it computes in.</param>
    /// <param name="device">The device that computes.</param>
    public static int Of(nn.Module network, ImageShape shape, ScalarType precision, Device device)
    {
        var largest = network is Network { IsInterpretable: true } known
            ? Math.Max(Complexity.Of(known, shape).LargestResult, shape.Length)
            : UnknownNetworkWidening * (long)shape.Length;
        largest *= precision == ScalarType.Float32 ? sizeof(float) : sizeof(float) / 2;
        return device.type == DeviceType.CPU
            ? (int)Math.Clamp((32 << 20) / largest, 1, 256)
            : (int)Math.Clamp((1 << 30) / largest, 1, 1024);
    }
}
