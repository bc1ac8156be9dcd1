using Microsoft.ML.Runtime;
using TorchSharp;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>
/// Chooses where a network computes: on the GPU that the MLContext names, otherwise on the first GPU, otherwise on the CPU. Ranks on one
/// machine take one GPU after the other.
/// </summary>
internal static class DeviceSelection
{
    /// <summary>Loads libtorch, chooses the device and reports it to the channel.</summary>
    /// <exception cref="InvalidOperationException">
    /// The GPU that the MLContext names does not exist, and FallbackToCpu is false; or libtorch cannot be loaded.
    /// </exception>
    public static torch.Device Choose(IHostEnvironment environment, IChannel channel, int localRank = 0)
    {
        LibTorch.EnsureLoaded();
        return DeviceOf(ChooseGpu(environment, channel, localRank));
    }

    /// <summary>The device with the number of a GPU; the CPU if it is null.</summary>
    public static torch.Device DeviceOf(int? gpu) => gpu is { } number ? torch.device(DeviceType.CUDA, number) : torch.CPU;

    /// <summary>
    /// Chooses the GPU and reports the choice to the channel; null is the CPU. It does not load libtorch on a machine without NVIDIA's
    /// driver.
    /// </summary>
    /// <exception cref="InvalidOperationException">The GPU that the MLContext names does not exist, and FallbackToCpu is false.</exception>
    public static int? ChooseGpu(IHostEnvironment environment, IChannel channel, int localRank = 0)
    {
        var count = CountGpus();
        var wanted = HostSettings.GpuDeviceIdOf(environment);
        if (wanted is { } id && (id < 0 || id >= count))
        {
            var message = $"MLContext.GpuDeviceId is {id}, but {Available(count)}.";
            if (!HostSettings.FallbackToCpuOf(environment))
                throw new InvalidOperationException(
                    $"{message} Add TorchSharp-cuda-windows or TorchSharp-cuda-linux to the application, set GpuDeviceId to an available "
                    + "GPU, or set MLContext.FallbackToCpu to true.");
            channel.Warning(MessageSensitivity.None, $"{message} Using the CPU.");
            return null;
        }
        int? gpu = count > 0 ? wanted ?? localRank % count : null;
        channel.Info(MessageSensitivity.None, gpu is { } number ? $"Computing on GPU {number}." : "Computing on the CPU.");
        return gpu;
    }

    /// <summary>The number of GPUs that libtorch can use. It does not load libtorch on a machine without NVIDIA's driver.</summary>
    public static int CountGpus() =>
        CudaDriver.IsInstalled && LibTorch.IsAvailable && torch.cuda.is_available() ? torch.cuda.device_count() : 0;

    private static string Available(int count) => count switch
    {
        0 => "no CUDA device is available to libtorch",
        1 => "the only available GPU is 0",
        _ => $"the available GPUs are 0 to {count - 1}",
    };
}
