using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests;

internal static class LiveTensors
{
    /// <summary>TorchSharp's count, after the finalizers of the tensors of earlier tests have run.</summary>
    public static long Count()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return Tensor.TotalCount;
    }
}
