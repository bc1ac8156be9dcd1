using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding;

/// <summary>The number format that the network computes in. Weights are always kept and saved in float32.</summary>
public enum Precision
{
    /// <summary>
    /// 32-bit floating point. On a CPU, results agree with PyTorch's to the last digits. NVIDIA GPUs from Ampere on round the factors of
    /// matrix products and convolutions to TF32 if the application allows it: <c>torch.backends.cuda.matmul.allow_tf32</c> (libtorch's
    /// default: false) and <c>torch.backends.cudnn.allow_tf32</c> (default: true). These settings apply to the whole process; the library
    /// does not change them.
    /// </summary>
    Float32,

    /// <summary>
    /// Convolutions and linear layers compute in bfloat16. The optimizer's weights, batch norm statistics and the loss stay in float32.
    /// About twice as fast on processors with native bfloat16 arithmetic (AVX512-BF16, AMX, CUDA from Ampere on), slower on others.
    /// </summary>
    BFloat16,

    /// <summary>
    /// <see cref="BFloat16"/> on devices with native bfloat16 arithmetic (AVX512-BF16 or AMX; CUDA with compute capability 8.0, Ampere, or
    /// later), otherwise <see cref="Float32"/>. Scoring on a CPU uses <see cref="Float32"/>, which is quicker for a single image.
    /// </summary>
    Auto,
}

/// <summary>Resolves a <see cref="Precision"/> for a device.</summary>
internal static class PrecisionOnDevice
{
    /// <summary>The type that convolutions and linear layers compute in.</summary>
    public static ScalarType On(this Precision precision, Device device) => precision switch
    {
        Precision.BFloat16 => ScalarType.BFloat16,
        Precision.Auto when NativeBFloat16.IsSupportedOn(device) => ScalarType.BFloat16,
        _ => ScalarType.Float32,
    };

    /// <summary>The type that a trained network computes in: on a CPU, Auto is float32, which is quicker for a single image.</summary>
    public static ScalarType ForScoringOn(this Precision precision, Device device) =>
        precision == Precision.Auto && device.type == TorchSharp.DeviceType.CPU ? ScalarType.Float32 : precision.On(device);
}
