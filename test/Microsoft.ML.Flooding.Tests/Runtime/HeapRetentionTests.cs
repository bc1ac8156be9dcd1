using Microsoft.ML.Flooding.Runtime;
using Microsoft.ML.Flooding.Tests.Pipeline;

namespace Microsoft.ML.Flooding.Tests.Runtime;

/// <summary>The settings apply to the whole process. They last as long as something needs them.</summary>
[TestClass]
public sealed class HeapRetentionTests
{
    [TestMethod]
    public void Memory_is_kept_until_the_model_is_disposed_of()
    {
        var before = Holders();
        var context = new MLContext(seed: 1);
        var model = ShortRun.Fit(context, FashionMnistData.Train(context, 50), o => o.ScoringEngine = ScoringEngine.LibTorch);
        Assert.AreEqual(before + 1, Holders());
        model.Dispose();
        model.Dispose();
        Assert.AreEqual(before, Holders());
    }

    [TestMethod]
    public void A_model_that_nobody_disposes_of_does_not_keep_memory_for_ever()
    {
        var before = Holders();
        Forget();
        Assert.AreEqual(before, Holders());

        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        static void Forget()
        {
            var forgotten = HeapRetention.ForScoring();
            Assert.IsNotNull(forgotten);
        }
    }

    [TestMethod]
    public void The_switch_turns_it_off()
    {
        var before = Holders();
        AppContext.SetSwitch(HeapRetention.SwitchName, false);
        try
        {
            Assert.IsFalse(HeapRetention.IsWanted(_ => null));
            using var none = HeapRetention.ForTraining();
            Assert.AreEqual(before, HeapRetention.Holders);
        }
        finally
        {
            AppContext.SetSwitch(HeapRetention.SwitchName, true);
        }
        Assert.AreEqual(before, HeapRetention.Holders);
        using var some = HeapRetention.ForTraining();
        Assert.AreEqual(before + 1, HeapRetention.Holders);
    }

    [TestMethod]
    [DataRow("MALLOC_TRIM_THRESHOLD_", "1000000", false)]
    [DataRow("MALLOC_TOP_PAD_", "1", false)]
    [DataRow("MALLOC_MMAP_MAX_", "0", false)]
    [DataRow("MALLOC_MMAP_THRESHOLD_", "1", false)]
    [DataRow("GLIBC_TUNABLES", "glibc.malloc.arena_max=2:glibc.malloc.trim_threshold=128", false)]
    [DataRow("GLIBC_TUNABLES", "glibc.malloc.arena_max=2", true)]
    [DataRow("MALLOC_ARENA_MAX", "2", true)]
    public void An_application_that_tunes_malloc_is_left_alone(string variable, string value, bool isWanted) =>
        Assert.AreEqual(isWanted, HeapRetention.IsWanted(name => name == variable ? value : null));

    private static int Holders()
    {
        // Models of other tests.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return HeapRetention.Holders;
    }
}
