namespace Microsoft.ML.Flooding.Images;

/// <summary>Finds data that is sorted by class, where images are shuffled only within blocks of the data's order.</summary>
internal static class ClassOrder
{
    /// <summary>
    /// Whether two images of a block have the same class much more often than two images of all: by more than half of what is missing to
    /// always. In shuffled data the two are about the same, whatever the sizes of the classes.
    /// </summary>
    /// <param name="labels">Class indices in the order of the data.</param>
    /// <param name="blockLength">The number of images that are shuffled together.</param>
    public static bool IsSorted(ReadOnlySpan<long> labels, long blockLength)
    {
        var (same, pairs) = (0.0, 0.0);
        for (var start = 0; start < labels.Length;)
        {
            var count = (int)Math.Min(blockLength, labels.Length - start);
            same += PairsOfOneClass(labels.Slice(start, count));
            pairs += (double)count * (count - 1);
            start += count;
        }
        var overall = PairsOfOneClass(labels) / ((double)labels.Length * (labels.Length - 1));
        return pairs > 0 && same / pairs > (1 + overall) / 2;
    }

    private static double PairsOfOneClass(ReadOnlySpan<long> labels)
    {
        var counts = new Dictionary<long, long>();
        foreach (var label in labels)
            counts[label] = counts.GetValueOrDefault(label) + 1;
        return counts.Values.Sum(count => (double)count * (count - 1));
    }
}
