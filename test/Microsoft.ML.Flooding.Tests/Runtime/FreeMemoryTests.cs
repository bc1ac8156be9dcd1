using System.Runtime.InteropServices;
using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML.Flooding.Tests.Runtime;

[TestClass]
public sealed class FreeMemoryTests
{
    private const long Taken = 512 << 20;

    /// <summary>
    /// The pixels of a set are native memory, whose allocation triggers no garbage collection. The next set must not count it as free.
    /// Other programs allocate and free memory at the same time, so one success of several attempts is enough.
    /// </summary>
    [TestMethod]
    public void Native_memory_that_was_just_taken_is_not_free() => Assert.IsTrue(Enumerable.Range(0, 5).Any(_ => IsSeen()));

    private static unsafe bool IsSeen()
    {
        var before = FreeMemory.Bytes();
        var memory = NativeMemory.Alloc((nuint)Taken);
        try
        {
            new Span<byte>(memory, (int)Taken).Fill(1);
            return before - FreeMemory.Bytes() > Taken / 2;
        }
        finally
        {
            NativeMemory.Free(memory);
        }
    }
}
