using System.Runtime.InteropServices;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Two-dimensional convolution.</summary>
internal static class Convolution
{
    // TorchSharp does not bind mkldnn_convolution.
    private static readonly Lazy<jit.CompilationUnit> OneDnn = new(
        () => jit.compile(
            "def convolve(x, weight, padding: int, stride: int, dilation: int):\n"
            + "    return torch.mkldnn_convolution(x, weight, None, [padding, padding], [stride, stride], [dilation, dilation], 1)\n"
            + "def convolve_biased(x, weight, bias, padding: int, stride: int, dilation: int):\n"
            + "    return torch.mkldnn_convolution(x, weight, bias, [padding, padding], [stride, stride], [dilation, dilation], 1)\n"),
        LazyThreadSafetyMode.PublicationOnly);

    /// <summary>Applies a module with the given weights, which can be others than its own.</summary>
    /// <remarks>
    /// <para>On a CPU, 1x1 convolutions are computed as matrix products, which in the channels-last layout moves no values. With AVX-512,
    /// oneDNN in libtorch 2.10 computes them incorrectly: wrong values at resolutions of a few pixels, for strided memory and few
    /// channels.</para>
    /// <para>For a single image, oneDNN is called directly. For small images, libtorch would first try NNPACK, which cannot start on many
    /// virtual machines and writes so to the standard error stream each time, and then use a slower convolution of its own.</para>
    /// </remarks>
    public static Tensor Apply(Conv2d conv, Tensor x, Tensor weight, Tensor? bias)
    {
        if (x.device_type != TorchSharp.DeviceType.CPU || conv.groups > 1)
            return F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups);
        if (conv.kernel_size is [1, 1] && conv.padding is [0, 0] && conv.stride[0] == conv.stride[1])
            return Product(conv.stride[0], x, weight, bias);
        // A direct call of oneDNN has no gradient.
        if (x.size(0) == 1 && IsSquare(conv) && !is_grad_enabled() && x.dtype == ScalarType.Float32
            && RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.X64)
            return ConvolveOne(conv, x, weight, bias);
        return F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation);
    }

    private static bool IsSquare(Conv2d conv) =>
        conv.padding![0] == conv.padding[1] && conv.stride[0] == conv.stride[1] && conv.dilation[0] == conv.dilation[1];

    private static Tensor Product(long stride, Tensor x, Tensor weight, Tensor? bias)
    {
        if (stride > 1)
            x = x[TensorIndex.Ellipsis, TensorIndex.Slice(step: stride), TensorIndex.Slice(step: stride)];
        // contiguous(): for a strided view, libtorch's product in bfloat16 was measured to take ten times as long.
        return LinearLayer.Apply(x.permute(0, 2, 3, 1).contiguous(), weight.flatten(1), bias).permute(0, 3, 1, 2);
    }

    private static Tensor ConvolveOne(Conv2d conv, Tensor x, Tensor weight, Tensor? bias)
    {
        // These scalars live until the end of the call. TorchSharp would convert a long to one that the garbage collector may free too
        // early.
        using TorchSharp.Scalar padding = conv.padding![0], stride = conv.stride[0], dilation = conv.dilation[0];
        return (Tensor)(bias is null
            ? OneDnn.Value.invoke("convolve", x, weight, padding, stride, dilation)
            : OneDnn.Value.invoke("convolve_biased", x, weight, bias, padding, stride, dilation));
    }
}
