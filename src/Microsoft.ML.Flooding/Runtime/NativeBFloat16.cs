using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using TorchSharp;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>Whether a device multiplies bfloat16 matrices natively. libtorch emulates bfloat16 on other devices, which is slow.</summary>
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

    /// <summary>Whether a GPU of this compute capability does. False if the capability is unknown (null).</summary>
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

/// <summary>The functions of NVIDIA's driver that TorchSharp does not bind.</summary>
internal static unsafe class CudaDriver
{
    private const int Success = 0;

    // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR.
    private const int CapabilityMajor = 75;
    private const int CapabilityMinor = 76;

    /// <summary>Whether the driver is installed.</summary>
    public static bool IsInstalled => TryLoad(out _);

    /// <summary>The compute capability of a GPU; null if the driver does not report it.</summary>
    /// <param name="index">The number of the GPU, from 0. libtorch and the driver number GPUs in the same order.</param>
    public static Version? ComputeCapability(int index)
    {
        if (!TryLoad(out var driver))
            return null;
        if (!NativeLibrary.TryGetExport(driver, "cuInit", out var init)
            || !NativeLibrary.TryGetExport(driver, "cuDeviceGet", out var get)
            || !NativeLibrary.TryGetExport(driver, "cuDeviceGetAttribute", out var getAttribute))
            return null;
        int device, major, minor;
        return ((delegate* unmanaged<uint, int>)init)(0) == Success
            && ((delegate* unmanaged<int*, int, int>)get)(&device, index) == Success
            && ((delegate* unmanaged<int*, int, int, int>)getAttribute)(&major, CapabilityMajor, device) == Success
            && ((delegate* unmanaged<int*, int, int, int>)getAttribute)(&minor, CapabilityMinor, device) == Success
            ? new Version(major, minor)
            : null;
    }

    private static bool TryLoad(out nint driver) =>
        NativeLibrary.TryLoad(OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1", out driver);
}
