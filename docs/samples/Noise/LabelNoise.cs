namespace Noise;

/// <summary>How labels become wrong.</summary>
/// <param name="Key">Its name on the command line.</param>
/// <param name="Name">Its name in the tables.</param>
/// <param name="Share">The share of labels that are changed.</param>
/// <param name="Level">The flood level for the method that needs one, chosen in advance.</param>
/// <param name="ToPartner">Whether a label becomes one fixed other class; otherwise every other class is equally likely.</param>
internal sealed record LabelNoise(string Key, string Name, double Share, float Level, bool ToPartner = false)
{
    public static IReadOnlyList<LabelNoise> All { get; } =
    [
        new("0", "clean labels", 0, 0.1f),
        new("20", "20 % symmetric", 0.2, 0.9f),
        new("40", "40 % symmetric", 0.4, 1.5f),
        new("pairs", "20 % pairs", 0.2, 0.9f, ToPartner: true),
    ];

    /// <summary>Changes the labels of some examples.</summary>
    public Example[] Apply(IReadOnlyList<Example> examples, NoisySet set, Random random)
    {
        Example[] changed = [.. examples];
        int[] rows = [.. Enumerable.Range(0, changed.Length)];
        random.Shuffle(rows);
        foreach (var row in rows[..(int)Math.Round(Share * rows.Length)])
        {
            var label = (int)changed[row].Label;
            var other = ToPartner ? set.Partners[label] : (label + random.Next(1, set.Partners.Count)) % set.Partners.Count;
            changed[row] = changed[row].With((uint)other);
        }
        return changed;
    }
}
