namespace Microsoft.ML.Flooding;

/// <summary>The number format that the network computes in. Weights are kept and saved in float32 whichever it is.</summary>
public enum Precision
{
    /// <summary>
    /// 32-bit throughout: on a CPU, reproducible against PyTorch to the last digits. While it trains on an NVIDIA GPU from Ampere on, factors of products and
    /// convolutions are rounded to TF32, for which the process's settings (<c>torch.backends.cuda.matmul.allow_tf32</c> and cuDNN's) are changed and restored.
    /// </summary>
    Float32,

    /// <summary>
    /// Convolutions and linear layers in bfloat16; weights in the optimizer, batch-norm statistics and the loss stay float32. About twice as
    /// fast where the processor has native bfloat16 arithmetic (AVX512-BF16, AMX, CUDA from Ampere on), slower where it has not.
    /// </summary>
    BFloat16,

    /// <summary><see cref="BFloat16"/> where the training device computes it natively, else <see cref="Float32"/>.</summary>
    Auto,
}
