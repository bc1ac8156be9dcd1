using System.Runtime.Intrinsics.X86;
using TorchSharp;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>Whether a device multiplies bfloat16 matrices natively: libtorch computes in them everywhere, but slowly where it must emulate.</summary>
internal static class NativeBFloat16
{
    public static bool IsSupportedOn(torch.Device device) => device.type switch
    {
        DeviceType.CUDA => true,
        DeviceType.CPU => HasInstructions(),
        _ => false,
    };

    private static bool HasInstructions()
    {
        if (!X86Base.IsSupported || !Avx512F.IsSupported || X86Base.CpuId(0, 0).Eax < 7)
            return false;
        var amx = (X86Base.CpuId(7, 0).Edx & (1 << 22)) != 0;
        var avx512 = (X86Base.CpuId(7, 1).Eax & (1 << 5)) != 0;
        return amx || avx512;
    }
}
