using Microsoft.ML.Runtime;
using TorchSharp;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>
/// Chooses where a network computes: on the GPU that the MLContext names, otherwise on the first GPU, otherwise on the CPU.
/// </summary>
internal static class DeviceSelection
{
    /// <summary>Chooses the device and reports it to the channel.</summary>
    /// <exception cref="InvalidOperationException">The GPU that the MLContext names does not exist, and FallbackToCpu is false.</exception>
    public static torch.Device Choose(IHostEnvironment environment, IChannel channel)
    {
        LibTorch.EnsureLoaded();
        var count = torch.cuda.is_available() ? torch.cuda.device_count() : 0;
        var wanted = HostSettings.GpuDeviceIdOf(environment);
        if (wanted is { } id && (id < 0 || id >= count))
        {
            var message = $"MLContext.GpuDeviceId is {id}, but {Available(count)}.";
            if (!HostSettings.FallbackToCpuOf(environment))
                throw new InvalidOperationException(
                    $"{message} Add TorchSharp-cuda-windows or TorchSharp-cuda-linux to the application, set GpuDeviceId to an available "
                    + "GPU, or set MLContext.FallbackToCpu to true.");
            channel.Warning(MessageSensitivity.None, $"{message} Using the CPU.");
            return torch.CPU;
        }
        var device = count > 0 ? torch.device(DeviceType.CUDA, wanted ?? 0) : torch.CPU;
        channel.Info(
            MessageSensitivity.None, device.type == DeviceType.CUDA ? $"Computing on GPU {device.index}." : "Computing on the CPU.");
        return device;
    }

    private static string Available(int count) => count switch
    {
        0 => "no CUDA device is available to libtorch",
        1 => "the only available GPU is 0",
        _ => $"the available GPUs are 0 to {count - 1}",
    };
}
