namespace Microsoft.ML.Flooding.Runtime;

/// <summary>The memory that is free on the machine, or within the limit of the container.</summary>
internal static class FreeMemory
{
    /// <summary>Bytes, as of now.</summary>
    public static long Bytes()
    {
        // The runtime measures during a collection. Memory of libtorch causes none, so the last figure may be from before the last set was read.
        GC.Collect(0);
        var memory = GC.GetGCMemoryInfo();
        return Math.Max(0, memory.TotalAvailableMemoryBytes - memory.MemoryLoadBytes);
    }
}
