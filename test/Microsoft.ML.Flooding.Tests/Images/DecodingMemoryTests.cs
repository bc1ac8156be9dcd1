using Microsoft.ML.Flooding.Images;
using static Microsoft.ML.Flooding.Tests.Images.TestImages;

namespace Microsoft.ML.Flooding.Tests.Images;

[TestClass]
public sealed class DecodingMemoryTests
{
    private const int MiB = 1 << 20;

    [TestMethod]
    public void Images_at_once_stay_within_the_bound()
    {
        var memory = new DecodingMemory(100 * MiB);
        var (atOnce, most) = (0, 0);
        Parallel.For(0, 24, new ParallelOptions { MaxDegreeOfParallelism = 8 }, _ =>
        {
            memory.Take(30 * MiB);
            InterlockedMax(ref most, Interlocked.Increment(ref atOnce));
            Thread.Sleep(2);
            Interlocked.Decrement(ref atOnce);
            memory.Release(30 * MiB);
        });
        Assert.IsLessThanOrEqualTo(3, most);
    }

    [TestMethod]
    public void An_image_larger_than_the_bound_is_decoded_alone()
    {
        var memory = new DecodingMemory(100 * MiB);
        memory.Take(400 * MiB);
        var other = Task.Run(() => memory.Take(2 * MiB));
        Assert.IsFalse(other.Wait(50));
        memory.Release(400 * MiB);
        Assert.IsTrue(other.Wait(TimeSpan.FromMinutes(2)));
    }

    [TestMethod]
    public void A_large_file_waits_for_its_memory_and_gives_it_back()
    {
        var file = Png(Rgb(700, 700), 700, 700);
        DecodingMemory.Shared.Take(long.MaxValue / 2);
        var decoding = Task.Run(() =>
        {
            for (var i = 0; i < 2; i++)
                Assert.IsTrue(
                    EncodedImage.TryDecode(file, new ImageShape(8, 8, 3), null, long.MaxValue, new byte[192], out var problem), problem);
        });
        Assert.IsFalse(decoding.Wait(50));
        DecodingMemory.Shared.Release(long.MaxValue / 2);
        Assert.IsTrue(decoding.Wait(TimeSpan.FromMinutes(2)));
        DecodingMemory.Shared.Take(long.MaxValue / 2);
        DecodingMemory.Shared.Release(long.MaxValue / 2);
    }

    private static void InterlockedMax(ref int most, int value)
    {
        for (var seen = Volatile.Read(ref most); value > seen; seen = Volatile.Read(ref most))
            Interlocked.CompareExchange(ref most, value, seen);
    }
}
