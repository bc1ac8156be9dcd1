using Microsoft.ML.Flooding.Images;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>
/// Divides rows of a set so that each part has its share of each class, and the images of a group are in one part. The result depends only
/// on the generator.
/// </summary>
/// <remarks>
/// First each part gets a quota of each class, a whole number of images. Then each group goes to the part where the sum over the classes of
/// (images - quota)^2 / (images of the class) falls most or rises least; among equals, to the part that lacks most images. The largest
/// groups go first, groups of the same size in random order. Groups of one image meet the quotas exactly; larger ones approximately.
/// </remarks>
internal sealed class StratifiedSplit
{
    private readonly long[] _labels;
    private readonly ArraySegment<long>[] _groups;
    private readonly long[] _counts;

    /// <param name="set">The set with the labels and groups.</param>
    /// <param name="rows">The rows to divide, int64 on the CPU.</param>
    /// <param name="generator">A CPU generator.</param>
    public StratifiedSplit(ImageSet set, Tensor rows, Generator generator)
    {
        using var scope = NewDisposeScope();
        _labels = [.. set.Labels.data<long>()];
        long[] shuffled = [.. rows.index_select(0, randperm(rows.shape[0], generator: generator)).data<long>()];
        _groups = set.Groups is { } groups
            ? Group(shuffled, [.. groups.data<long>()])
            : [.. shuffled.Select((_, i) => new ArraySegment<long>(shuffled, i, 1))];
        _counts = new long[_labels.Max() + 1];
        foreach (var row in shuffled)
            _counts[_labels[row]]++;
    }

    /// <summary>
    /// Sets a share of the rows aside. Every class keeps an image. Every class with at least two groups has an image set aside; if fewer
    /// images are set aside than there are classes, only the larger classes have one.
    /// </summary>
    /// <param name="fraction">The share of the rows, in [0, 1); the number of images is rounded.</param>
    /// <returns>The rows that are kept, and those that are set aside: int64, ascending.</returns>
    public (Tensor Kept, Tensor Held) Hold(double fraction)
    {
        var quota = Quota(fraction);
        long[][] parts = [[.. _counts.Zip(quota, (all, held) => all - held)], quota];
        var (places, filled) = Place(parts, (group, part, filled) => part == 0 || LeavesAnImage(group, filled[1]));
        // The larger groups can leave less of a class's quota than any of its groups needs.
        for (var i = _groups.Length - 1; i >= 0; i--)
        {
            var group = _groups[i];
            if (places[i] == 0 && Any(group, label => quota[label] > 0 && filled[1][label] == 0) && LeavesAnImage(group, filled[1]))
            {
                places[i] = 1;
                Add(group, filled[1], 1);
            }
        }
        return (RowsOf(places, 0), RowsOf(places, 1));
    }

    /// <summary>Divides the rows into parts of similar size, as far as groups allow.</summary>
    /// <param name="count">The number of parts; fewer if there are fewer groups.</param>
    /// <returns>The rows of each part, int64, ascending; no part is empty.</returns>
    public Tensor[] Fold(int count)
    {
        count = Math.Min(count, _groups.Length);
        var quotas = new long[count][];
        for (var part = 0; part < count; part++)
            quotas[part] = new long[_counts.Length];
        // Dealt out like cards, class after class.
        var next = 0L;
        for (var label = 0; label < _counts.Length; label++)
        {
            for (var i = 0L; i < _counts[label]; i++)
                quotas[next++ % count][label]++;
        }
        var places = Place(quotas, (_, _, _) => true).Places;
        return [.. Enumerable.Range(0, count).Where(places.Contains).Select(part => RowsOf(places, part))];
    }

    private static ArraySegment<long>[] Group(long[] rows, long[] groups) =>
        [.. rows.GroupBy(row => groups[row]).Select(group => new ArraySegment<long>([.. group])).OrderByDescending(group => group.Count)];

    /// <summary>
    /// The number of images of each class to set aside: first one of each class that has two or more, then by what a class lacks of its
    /// share.
    /// </summary>
    private long[] Quota(double fraction)
    {
        var quota = new long[_counts.Length];
        var waiting = new PriorityQueue<int, (double, int)>();
        for (var label = 0; label < _counts.Length; label++)
        {
            if (_counts[label] > 1)
                waiting.Enqueue(label, (-(double)_labels.Length - _counts[label], label));
        }
        for (var missing = (long)Math.Round(_counts.Sum() * fraction); missing > 0 && waiting.TryDequeue(out var label, out _); missing--)
        {
            quota[label]++;
            if (quota[label] < _counts[label] - 1)
                waiting.Enqueue(label, (quota[label] - (_counts[label] * fraction), label));
        }
        return quota;
    }

    private (int[] Places, long[][] Filled) Place(long[][] quotas, Func<ArraySegment<long>, int, long[][], bool> mayGo)
    {
        long[][] filled = [.. quotas.Select(quota => new long[quota.Length])];
        long[] missing = [.. quotas.Select(quota => quota.Sum())];
        var places = new int[_groups.Length];
        for (var i = 0; i < _groups.Length; i++)
        {
            var group = _groups[i];
            var part = Enumerable.Range(0, quotas.Length).Where(part => mayGo(group, part, filled))
                .MinBy(part => (Change(group, filled[part], quotas[part]), -missing[part]));
            places[i] = part;
            missing[part] -= group.Count;
            Add(group, filled[part], 1);
        }
        return (places, filled);
    }

    /// <summary>The change in the distance to the quotas when a group is added.</summary>
    private double Change(ArraySegment<long> group, long[] filled, long[] quota)
    {
        var change = 0.0;
        foreach (var row in group)
        {
            var label = _labels[row];
            change += (1 + (2.0 * (filled[label] - quota[label]))) / _counts[label];
            filled[label]++;
        }
        Add(group, filled, -1);
        return change;
    }

    private bool LeavesAnImage(ArraySegment<long> group, long[] held)
    {
        Add(group, held, 1);
        var leaves = !Any(group, label => held[label] == _counts[label]);
        Add(group, held, -1);
        return leaves;
    }

    private bool Any(ArraySegment<long> group, Predicate<long> predicate)
    {
        foreach (var row in group)
        {
            if (predicate(_labels[row]))
                return true;
        }
        return false;
    }

    private void Add(ArraySegment<long> group, long[] filled, int sign)
    {
        foreach (var row in group)
            filled[_labels[row]] += sign;
    }

    private Tensor RowsOf(int[] places, int part)
    {
        long[] rows = [.. _groups.Where((_, i) => places[i] == part).SelectMany(group => group)];
        Array.Sort(rows);
        return tensor(rows);
    }
}
