using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>The order of a tensor's values in memory.</summary>
internal static class MemoryFormat
{
    // TorchSharp does not bind the memory format of contiguous; 2 is torch::MemoryFormat::ChannelsLast.
    private static readonly Lazy<jit.CompilationUnit> Script = new(
        () => jit.compile("def channels_last(x):\n    return x.contiguous(memory_format=2)\n"), LazyThreadSafetyMode.PublicationOnly);

    /// <summary>A copy of [N, C, H, W] that lies in memory as [N, H, W, C], or the tensor itself when it does already.</summary>
    public static Tensor ToChannelsLast(this Tensor tensor) => (Tensor)Script.Value.invoke("channels_last", tensor);

    /// <summary>Rearranges the parameters of convolutions in place.</summary>
    /// <remarks>
    /// Quicker on CPUs, and safer: from weights in row-major order, oneDNN as of libtorch 2.10 computes 3x3 convolutions in blocks
    /// of 16 channels with AVX-512, does not clear what pads an odd number of them, and so may give NaN in results and gradients.
    /// Weights that lie channels last make the input follow.
    /// </remarks>
    public static void ToChannelsLast(this nn.Module module)
    {
        using var _ = no_grad();
        foreach (var (_, parameter) in module.named_parameters())
        {
            if (parameter.ndim != 4)
                continue;
            using var rearranged = parameter.ToChannelsLast();
            parameter.set_(rearranged);
        }
    }
}
