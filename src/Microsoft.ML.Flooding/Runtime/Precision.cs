namespace Microsoft.ML.Flooding;

/// <summary>The number format that the network computes in. Weights are kept and saved in float32 whichever it is.</summary>
public enum Precision
{
    /// <summary>
    /// 32-bit throughout: on a CPU, reproducible against PyTorch to the last digits. NVIDIA GPUs from Ampere on round the factors of
    /// products and convolutions to TF32 where the application allows it: <c>torch.backends.cuda.matmul.allow_tf32</c> (libtorch's
    /// default: false) and <c>torch.backends.cudnn.allow_tf32</c> (default: true). These settings belong to the process, and the library
    /// leaves them as they are.
    /// </summary>
    Float32,

    /// <summary>
    /// Convolutions and linear layers in bfloat16; weights in the optimizer, batch-norm statistics and the loss stay float32. About twice as
    /// fast where the processor has native bfloat16 arithmetic (AVX512-BF16, AMX, CUDA from Ampere on), slower where it has not.
    /// </summary>
    BFloat16,

    /// <summary>
    /// <see cref="BFloat16"/> where the device computes it natively (AVX512-BF16 or AMX; CUDA with compute capability 8.0, Ampere, or
    /// later), else <see cref="Float32"/>.
    /// </summary>
    Auto,
}
