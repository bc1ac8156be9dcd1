namespace Microsoft.ML.Flooding;

/// <summary>The native library that computes scores. Training always uses libtorch.</summary>
public enum ScoringEngine
{
    /// <summary>
    /// The quicker one that can score the model. <see cref="OnnxRuntime"/> for <see cref="Precision.Float32"/> on a CPU, if the application
    /// has the package Microsoft.ML.OnnxRuntime and the layers of the network are known; otherwise <see cref="LibTorch"/>: for
    /// <see cref="Precision.BFloat16"/>, on a GPU, and for networks from a factory or from TorchScript.
    /// </summary>
    Auto,

    /// <summary>
    /// ONNX Runtime on the CPU, in <see cref="Precision.Float32"/>. The application references the package Microsoft.ML.OnnxRuntime. It
    /// needs no libtorch: a program without it loads models, scores and evaluates.
    /// </summary>
    OnnxRuntime,

    /// <summary>libtorch, on the CPU or on a GPU. The application references a package such as TorchSharp-cpu.</summary>
    LibTorch,
}
