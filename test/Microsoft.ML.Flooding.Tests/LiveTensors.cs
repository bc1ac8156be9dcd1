using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests;

internal static class LiveTensors
{
    /// <summary>TorchSharp's count, once the tensors that tests before left to their finalizers are gone.</summary>
    public static long Count()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return Tensor.TotalCount;
    }
}
