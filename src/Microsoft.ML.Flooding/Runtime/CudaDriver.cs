using System.Runtime.InteropServices;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>What NVIDIA's driver tells of a GPU; TorchSharp does not bind it.</summary>
internal static unsafe class CudaDriver
{
    private const int Success = 0;

    // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR.
    private const int CapabilityMajor = 75;
    private const int CapabilityMinor = 76;

    /// <summary>The compute capability of a GPU; null where the driver does not tell.</summary>
    /// <param name="index">From 0, in libtorch's order, which is the driver's.</param>
    public static Version? ComputeCapability(int index)
    {
        if (!NativeLibrary.TryLoad(OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1", out var driver))
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
}
