using System.Runtime.Intrinsics.X86;
using TorchSharp;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>Whether a device multiplies bfloat16 matrices natively: libtorch computes in them everywhere, but slowly where it must emulate.</summary>
internal static class NativeBFloat16
{
    /// <summary>The first NVIDIA architecture with bfloat16 arithmetic.</summary>
    private static readonly Version Ampere = new(8, 0);

    public static bool IsSupportedOn(torch.Device device) => device.type switch
    {
        DeviceType.CUDA => IsSupportedAt(CudaDriver.ComputeCapability(Math.Max(device.index, 0))),
        DeviceType.CPU => HasInstructions(),
        _ => false,
    };

    /// <summary>Whether a GPU of this compute capability does; not where the capability is not known (null).</summary>
    public static bool IsSupportedAt(Version? computeCapability) => computeCapability is not null && computeCapability >= Ampere;

    private static bool HasInstructions()
    {
        if (!X86Base.IsSupported || !Avx512F.IsSupported || X86Base.CpuId(0, 0).Eax < 7)
            return false;
        var amx = (X86Base.CpuId(7, 0).Edx & (1 << 22)) != 0;
        var avx512 = (X86Base.CpuId(7, 1).Eax & (1 << 5)) != 0;
        return amx || avx512;
    }
}
