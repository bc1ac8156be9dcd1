using Microsoft.ML.Runtime;
using TorchSharp;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>Where a network computes: the GPU that the MLContext names, else the first GPU there is, else the CPU.</summary>
internal static class DeviceSelection
{
    /// <summary>Chooses the device and says so on the channel.</summary>
    /// <exception cref="InvalidOperationException">A GPU is asked for, is not there, and FallbackToCpu is false.</exception>
    public static torch.Device Choose(IHostEnvironment environment, IChannel channel)
    {
        LibTorch.EnsureLoaded();
        var count = torch.cuda.is_available() ? torch.cuda.device_count() : 0;
        var wanted = HostSettings.GpuDeviceIdOf(environment);
        if (wanted is { } id && (id < 0 || id >= count))
        {
            var message = $"MLContext.GpuDeviceId is {id}, but {Available(count)}.";
            if (!HostSettings.FallbackToCpuOf(environment))
                throw new InvalidOperationException($"{message} Add TorchSharp-cuda-windows or TorchSharp-cuda-linux to the application, name a GPU that is there, or set MLContext.FallbackToCpu.");
            channel.Warning(MessageSensitivity.None, $"{message} Using the CPU.");
            return torch.CPU;
        }
        var device = count > 0 ? torch.device(DeviceType.CUDA, wanted ?? 0) : torch.CPU;
        channel.Info(MessageSensitivity.None, device.type == DeviceType.CUDA ? $"Computing on GPU {device.index}." : "Computing on the CPU.");
        return device;
    }

    private static string Available(int count) => count switch
    {
        0 => "no CUDA device is available to libtorch",
        1 => "the only GPU is number 0",
        _ => $"there are GPUs 0 to {count - 1}",
    };
}
