using System.Runtime.InteropServices;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Two-dimensional convolution.</summary>
internal static class Convolution
{
    // TorchSharp does not bind it.
    private static readonly Lazy<jit.CompilationUnit> OneDnn = new(() => jit.compile(
        "def convolve(x, weight, padding: int, stride: int, dilation: int):\n" +
        "    return torch.mkldnn_convolution(x, weight, None, [padding, padding], [stride, stride], [dilation, dilation], 1)\n" +
        "def convolve_biased(x, weight, bias, padding: int, stride: int, dilation: int):\n" +
        "    return torch.mkldnn_convolution(x, weight, bias, [padding, padding], [stride, stride], [dilation, dilation], 1)\n"), LazyThreadSafetyMode.PublicationOnly);

    /// <summary>What a module computes, with weights of its own or others of their shape.</summary>
    /// <remarks>
    /// <para>On a CPU, 1x1 convolutions are matrix products, which channels last they are without moving a value. oneDNN as of
    /// libtorch 2.10 has them wrong there with AVX-512: values at resolutions of a few pixels, memory with a stride and few channels.</para>
    /// <para>A single image goes to oneDNN by name: for small ones libtorch would try NNPACK first, which on many virtual machines
    /// cannot start and says so on the standard error stream each time, and then a slower convolution of its own.</para>
    /// </remarks>
    public static Tensor Apply(Conv2d conv, Tensor x, Tensor weight, Tensor? bias)
    {
        if (x.device_type != TorchSharp.DeviceType.CPU || conv.groups > 1)
            return F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups);
        if (conv.kernel_size is [1, 1] && conv.padding is [0, 0] && conv.stride[0] == conv.stride[1])
            return Product(conv.stride[0], x, weight, bias);
        // oneDNN by name has no gradient.
        if (x.size(0) == 1 && IsSquare(conv) && !is_grad_enabled() && x.dtype == ScalarType.Float32 && RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.X64)
            return ConvolveOne(conv, x, weight, bias);
        return F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation);
    }

    private static bool IsSquare(Conv2d conv) =>
        conv.padding![0] == conv.padding[1] && conv.stride[0] == conv.stride[1] && conv.dilation[0] == conv.dilation[1];

    private static Tensor Product(long stride, Tensor x, Tensor weight, Tensor? bias)
    {
        if (stride > 1)
            x = x[TensorIndex.Ellipsis, TensorIndex.Slice(step: stride), TensorIndex.Slice(step: stride)];
        // Laid out first: of a view with a stride, libtorch's product in bfloat16 was seen to take ten times as long.
        return LinearLayer.Apply(x.permute(0, 2, 3, 1).contiguous(), weight.flatten(1), bias).permute(0, 3, 1, 2);
    }

    private static Tensor ConvolveOne(Conv2d conv, Tensor x, Tensor weight, Tensor? bias)
    {
        // Scalars that live to the end of the call: of a long, TorchSharp makes one that the collector may free before the call reads it.
        using TorchSharp.Scalar padding = conv.padding![0], stride = conv.stride[0], dilation = conv.dilation[0];
        return (Tensor)(bias is null
            ? OneDnn.Value.invoke("convolve", x, weight, padding, stride, dilation)
            : OneDnn.Value.invoke("convolve_biased", x, weight, bias, padding, stride, dilation));
    }
}
