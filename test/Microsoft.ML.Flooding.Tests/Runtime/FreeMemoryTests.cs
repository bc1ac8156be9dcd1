using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML.Flooding.Tests.Runtime;

[TestClass]
public sealed class FreeMemoryTests
{
    /// <summary>
    /// The pixels of a set are native memory, whose allocation triggers no garbage collection. The next set must not count it as free.
    /// The test does not allocate such memory: the runtime rounds its figure to a hundredth of the machine's memory, and other programs
    /// change it at the same time.
    /// </summary>
    [TestMethod]
    public void The_figure_is_measured_during_the_call()
    {
        var before = GC.GetGCMemoryInfo();
        var bytes = FreeMemory.Bytes();
        var after = GC.GetGCMemoryInfo();
        Assert.IsGreaterThan(before.Index, after.Index);
        Assert.AreEqual(Math.Max(0, after.TotalAvailableMemoryBytes - after.MemoryLoadBytes), bytes);
        Assert.IsGreaterThan(0, after.MemoryLoadBytes);
    }
}
