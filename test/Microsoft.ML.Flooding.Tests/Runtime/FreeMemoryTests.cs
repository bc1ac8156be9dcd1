using System.Runtime.InteropServices;
using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML.Flooding.Tests.Runtime;

[TestClass]
public sealed class FreeMemoryTests
{
    private const long Taken = 512 << 20;

    /// <summary>
    /// A set's pixels are native memory, which no garbage collection is due to. The set read next must not count on it.
    /// Other programs take and give memory meanwhile, so one of several attempts is enough.
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
