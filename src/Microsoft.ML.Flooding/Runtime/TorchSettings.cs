using TorchSharp;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>Settings of TorchSharp that an application may have changed and that networks and their training depend on.</summary>
internal static class TorchSettings
{
    /// <summary>
    /// Gives the calling thread gradients until the result is disposed of, also inside no_grad and inference_mode. Other threads keep
    /// their modes.
    /// </summary>
    public static IDisposable WithGradients() => torch.inference_mode(false);

    /// <summary>Throws if a default of the whole process has been changed. The application's other threads may rely on it.</summary>
    /// <exception cref="InvalidOperationException">The default device is not the CPU, or the default type is not float32.</exception>
    public static void RequireDefaults()
    {
        var (device, type) = (torch.get_default_device(), torch.get_default_dtype());
        if (device.type != DeviceType.CPU)
            throw new InvalidOperationException(
                $"TorchSharp's default device is {device}. Call torch.set_default_device(torch.CPU) first; "
                + $"{nameof(MLContext)}.{nameof(MLContext.GpuDeviceId)} chooses the device that this library computes on.");
        if (type != torch.ScalarType.Float32)
            throw new InvalidOperationException(
                $"TorchSharp's default data type is {type}. Call torch.set_default_dtype(torch.float32) first.");
    }
}
