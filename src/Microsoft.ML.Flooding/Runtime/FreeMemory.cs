namespace Microsoft.ML.Flooding.Runtime;

/// <summary>The memory that is free on the machine, or within the limit of the container.</summary>
internal static class FreeMemory
{
    /// <summary>Bytes, as of now.</summary>
    public static long Bytes()
    {
        // The runtime measures during a collection. libtorch's memory causes none: the figure may be older than the last set.
        GC.Collect(0);
        var memory = GC.GetGCMemoryInfo();
        return Math.Max(0, memory.TotalAvailableMemoryBytes - memory.MemoryLoadBytes);
    }
}
