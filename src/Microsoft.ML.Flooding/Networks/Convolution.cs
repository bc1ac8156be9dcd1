using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Two-dimensional convolution.</summary>
internal static class Convolution
{
    /// <summary>What a module computes, with weights of its own or others of their shape.</summary>
    /// <remarks>
    /// On a CPU, 1x1 convolutions are matrix products, which channels last they are without moving a value. oneDNN as of
    /// libtorch 2.10 has them wrong there with AVX-512: values at resolutions of a few pixels, memory with a stride and few channels.
    /// </remarks>
    public static Tensor Apply(Conv2d conv, Tensor x, Tensor weight, Tensor? bias)
    {
        if (conv.kernel_size[0] > 1 || conv.kernel_size[1] > 1 || conv.groups > 1 || x.device_type != TorchSharp.DeviceType.CPU)
            return F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups);
        if (conv.stride[0] > 1 || conv.stride[1] > 1)
            x = x[TensorIndex.Ellipsis, TensorIndex.Slice(step: conv.stride[0]), TensorIndex.Slice(step: conv.stride[1])];
        return F.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2);
    }
}
