using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>Chooses the engine that scores a model.</summary>
internal static class EngineSelection
{
    /// <summary>The message for a model that ONNX Runtime cannot score in bfloat16.</summary>
    public const string OnlyFloat32 =
        $"{nameof(ScoringEngine)} {nameof(ScoringEngine.OnnxRuntime)} computes in {nameof(Precision.Float32)}, not in "
        + $"{nameof(Precision.BFloat16)}. Set {nameof(ScoringEngine)} to {nameof(ScoringEngine.LibTorch)}, or ScoringPrecision to "
        + $"{nameof(Precision.Float32)}.";

    /// <summary>Chooses the engine, never <see cref="ScoringEngine.Auto"/>.</summary>
    /// <param name="network">The network.</param>
    /// <param name="description">The description of the model.</param>
    /// <param name="gpu">The number of the GPU to compute on; null for the CPU.</param>
    /// <exception cref="InvalidOperationException">
    /// The description asks for ONNX Runtime, which cannot score the model or is not installed.
    /// </exception>
    public static ScoringEngine Choose(TrainedNetwork network, ModelDescription description, int? gpu)
    {
        var isHalf = description.ScoringPrecision == Precision.BFloat16;
        switch (description.ScoringEngine)
        {
            case ScoringEngine.LibTorch:
                return ScoringEngine.LibTorch;
            case ScoringEngine.OnnxRuntime when isHalf:
                throw new InvalidOperationException(OnlyFloat32);
            case ScoringEngine.OnnxRuntime when !network.HasGraph:
                throw new InvalidOperationException(NotKnown(network.Architecture));
            case ScoringEngine.OnnxRuntime:
                OnnxLibrary.EnsureLoaded();
                return ScoringEngine.OnnxRuntime;
            default:
                return !isHalf && gpu is null && network.HasGraph && OnnxLibrary.IsAvailable
                    ? ScoringEngine.OnnxRuntime
                    : ScoringEngine.LibTorch;
        }
    }

    /// <summary>
    /// Loads ONNX Runtime on another thread if a model that is being read will probably be scored with it. Reading the weights takes about
    /// as long.
    /// </summary>
    public static void Prepare(ModelDescription description)
    {
        if (description is { ScoringEngine: not ScoringEngine.LibTorch, ScoringPrecision: Precision.Float32 })
            _ = Task.Run(() => OnnxLibrary.IsAvailable);
    }

    /// <summary>Throws before training if ONNX Runtime cannot score the network.</summary>
    /// <exception cref="InvalidOperationException">The layers are not known, or ONNX Runtime is not installed.</exception>
    public static void RequireOnnxRuntime(Architecture architecture)
    {
        if (!architecture.HasKnownLayers)
            throw new InvalidOperationException(NotKnown(architecture));
        OnnxLibrary.EnsureLoaded();
    }

    private static string NotKnown(Architecture architecture) =>
        $"{nameof(ScoringEngine)} {nameof(ScoringEngine.OnnxRuntime)} cannot score the architecture '{architecture}': its layers are "
        + "unknown because a factory created it or it was loaded from TorchScript, or it has more than 2 GB of weights. Set "
        + $"{nameof(ScoringEngine)} to {nameof(ScoringEngine.LibTorch)} or {nameof(ScoringEngine.Auto)}.";
}
