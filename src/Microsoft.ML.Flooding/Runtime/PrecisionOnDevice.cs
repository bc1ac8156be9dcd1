using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>What a <see cref="Precision"/> comes to on a device.</summary>
internal static class PrecisionOnDevice
{
    /// <summary>The type that convolutions and linear layers compute in.</summary>
    public static ScalarType On(this Precision precision, Device device) => precision switch
    {
        Precision.BFloat16 => ScalarType.BFloat16,
        Precision.Auto when NativeBFloat16.IsSupportedOn(device) => ScalarType.BFloat16,
        _ => ScalarType.Float32,
    };
}
