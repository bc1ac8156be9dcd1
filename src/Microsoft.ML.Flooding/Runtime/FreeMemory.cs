namespace Microsoft.ML.Flooding.Runtime;

/// <summary>The free memory of the machine or, if it has a limit, of the container.</summary>
internal static class FreeMemory
{
    /// <summary>The number of free bytes. The runtime rounds the used ones to hundredths of the machine's memory.</summary>
    public static long Bytes()
    {
        // The runtime updates this figure in a garbage collection. libtorch's allocations do not cause one, so it may be out of date.
        GC.Collect(0);
        var memory = GC.GetGCMemoryInfo();
        return Math.Max(0, memory.TotalAvailableMemoryBytes - memory.MemoryLoadBytes);
    }
}
