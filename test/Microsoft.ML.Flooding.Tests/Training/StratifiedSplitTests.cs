using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Training;

[TestClass]
public sealed class StratifiedSplitTests
{
    [TestMethod]
    public void Each_class_has_its_share_on_both_sides()
    {
        using var scope = NewDisposeScope();
        var labels = Labels(400, 200, 100, 30);
        for (var seed = 1; seed <= 20; seed++)
        {
            var (kept, held) = Hold(labels, 0.1, seed);
            CollectionAssert.AreEqual(new[] { 40, 20, 10, 3 }, Counts(labels, held), $"seed {seed}");
            CollectionAssert.AreEqual(
                Enumerable.Range(0, labels.Length).Select(row => (long)row).ToArray(), kept.Concat(held).Order().ToArray());
        }
    }

    /// <summary>
    /// 106 rows, of which a tenth is 10.6. A plain draw leaves the class of two rows out of validation four times out of five.
    /// </summary>
    [TestMethod]
    public void Rare_classes_are_on_both_sides_and_single_images_are_trained_on()
    {
        using var scope = NewDisposeScope();
        var labels = Labels(100, 3, 2, 1);
        for (var seed = 1; seed <= 20; seed++)
            CollectionAssert.AreEqual(new[] { 9, 1, 1, 0 }, Counts(labels, Hold(labels, 0.1, seed).Held), $"seed {seed}");
        CollectionAssert.AreEqual(
            new[] { 99, 2, 1, 0 }, Counts(labels, Hold(labels, 0.99, 1).Held), "and there is one of each to train on");
    }

    [TestMethod]
    public void A_fraction_with_no_room_for_all_classes_is_not_exceeded()
    {
        using var scope = NewDisposeScope();
        var labels = Labels([.. Enumerable.Repeat(2, 40), 20]);
        var held = Counts(labels, Hold(labels, 0.1, 1).Held);
        Assert.AreEqual(10, held.Sum());
        Assert.AreEqual(1, held.Max());
        Assert.AreEqual(1, held[40], "the larger class first");
    }

    [TestMethod]
    public void The_split_follows_the_seed()
    {
        using var scope = NewDisposeScope();
        var labels = Labels(50, 50);
        CollectionAssert.AreEqual(Hold(labels, 0.2, 1).Held, Hold(labels, 0.2, 1).Held);
        CollectionAssert.AreNotEqual(Hold(labels, 0.2, 1).Held, Hold(labels, 0.2, 2).Held);
    }

    [TestMethod]
    public void A_group_is_on_one_side_and_each_class_on_both()
    {
        using var scope = NewDisposeScope();
        // Objects of 1 to 7 images; two classes and a rare one of three objects.
        var random = new Random(1);
        var objects = Enumerable.Range(0, 120).Select(i => (Label: i < 3 ? 2L : i % 2, Size: random.Next(1, 8))).ToArray();
        long[] labels = [.. objects.SelectMany(o => Enumerable.Repeat(o.Label, o.Size))];
        long[] groups = [.. objects.SelectMany((o, i) => Enumerable.Repeat((long)i, o.Size))];
        for (var seed = 1; seed <= 20; seed++)
        {
            var (kept, held) = Hold(labels, 0.2, seed, groups);
            Assert.IsEmpty(kept.Select(row => groups[row]).Intersect(held.Select(row => groups[row])));
            var shares = Counts(labels, held).Zip(Counts(labels, [.. kept, .. held]), (h, all) => (double)h / all).ToArray();
            Assert.AreEqual(0.2, shares[0], 0.01);
            Assert.AreEqual(0.2, shares[1], 0.01);
            Assert.IsTrue(shares[2] is > 0 and < 1, $"seed {seed}: {shares[2]}");
        }
    }

    [TestMethod]
    public void A_group_that_has_a_class_to_itself_is_trained_on()
    {
        using var scope = NewDisposeScope();
        // All images of class 1 are of one object, which also has images of class 0.
        long[] labels = [.. Enumerable.Repeat(0L, 40), 0, 1, 1];
        long[] groups = [.. Enumerable.Range(0, 40).Select(i => i / 4L), 99, 99, 99];
        for (var seed = 1; seed <= 20; seed++)
        {
            var (_, held) = Hold(labels, 0.5, seed, groups);
            Assert.AreEqual(0, Counts(labels, held)[1]);
            Assert.AreEqual(20, held.Length);
        }
    }

    /// <summary>Each group is larger than the share, so by size alone both would be training data.</summary>
    [TestMethod]
    public void A_class_of_two_large_groups_is_on_both_sides()
    {
        using var scope = NewDisposeScope();
        var (kept, held) = Hold(Labels(30, 30), 0.1, 1, [.. Enumerable.Range(0, 60).Select(i => i / 15L)]);
        CollectionAssert.AreEqual(new[] { 15, 15 }, Counts(Labels(30, 30), held));
        Assert.HasCount(30, kept);
    }

    [TestMethod]
    public void Folds_have_the_classes_and_sizes_of_each_other()
    {
        using var scope = NewDisposeScope();
        var labels = Labels(53, 22, 4);
        var folds = Split(labels, 1).Fold(5);
        Assert.HasCount(5, folds);
        for (var label = 0; label < 3; label++)
        {
            var counts = folds.Select(fold => Counts(labels, Rows(fold))[label]).ToArray();
            Assert.IsLessThanOrEqualTo(1, counts.Max() - counts.Min(), $"class {label}");
        }
        var sizes = folds.Select(fold => fold.shape[0]).ToArray();
        Assert.IsLessThanOrEqualTo(1, sizes.Max() - sizes.Min());
        CollectionAssert.AreEqual(
            Enumerable.Range(0, labels.Length).Select(row => (long)row).ToArray(), folds.SelectMany(Rows).Order().ToArray());
    }

    [TestMethod]
    public void Folds_keep_groups_together_and_none_is_empty()
    {
        using var scope = NewDisposeScope();
        long[] groups = [.. Enumerable.Range(0, 60).Select(i => i / 20L)];
        var folds = Split(Labels(30, 30), 1, groups).Fold(int.MaxValue);
        Assert.HasCount(3, folds);
        foreach (var fold in folds)
            Assert.AreEqual(1, Rows(fold).Select(row => groups[row]).Distinct().Count());
    }

    internal static MemoryImageSet Set(long[] labels, long[]? groups = null, float[]? weights = null)
    {
        var pixels = zeros([labels.Length, 1, 1, 1], ScalarType.Byte).DetachFromDisposeScope();
        var (places, digests) = (arange(labels.Length).DetachFromDisposeScope(), arange(labels.Length).DetachFromDisposeScope());
        return new MemoryImageSet(new ImageShape(1, 1, 1), pixels, tensor(labels).DetachFromDisposeScope(), places, digests)
        {
            Groups = groups is null ? null : tensor(groups).DetachFromDisposeScope(),
            Weights = weights is null ? null : tensor(weights).DetachFromDisposeScope(),
        };
    }

    /// <summary>The given numbers of rows of class 0, of class 1, and so on.</summary>
    internal static long[] Labels(params int[] counts) => [.. counts.SelectMany((count, label) => Enumerable.Repeat((long)label, count))];

    internal static long[] Rows(Tensor rows) => [.. rows.data<long>()];

    private static StratifiedSplit Split(long[] labels, int seed, long[]? groups = null)
    {
        using var set = Set(labels, groups);
        using var generator = new Generator((ulong)seed);
        return new StratifiedSplit(set, arange(labels.Length, ScalarType.Int64), generator);
    }

    private static (long[] Kept, long[] Held) Hold(long[] labels, double fraction, int seed, long[]? groups = null)
    {
        var (kept, held) = Split(labels, seed, groups).Hold(fraction);
        return (Rows(kept), Rows(held));
    }

    private static int[] Counts(long[] labels, long[] rows) =>
        [.. Enumerable.Range(0, (int)labels.Max() + 1).Select(label => rows.Count(row => labels[row] == label))];
}
