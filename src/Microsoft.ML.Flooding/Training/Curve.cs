namespace Microsoft.ML.Flooding.Training;

/// <summary>A noisy series, one value per epoch, and its course without the noise.</summary>
internal sealed class Curve
{
    /// <summary>
    /// A change of this many standard deviations of a smoothed value is not noise. The lowest of many values is compared with the last,
    /// whose window is half as wide: noise alone looks like a rise in one of a hundred curves.
    /// </summary>
    private const double Deviations = 6;

    /// <summary>A change of less than this share of the value is ignored.</summary>
    private const double LeastShare = 0.02;

    private readonly double _significant;

    private Curve(double[] values)
    {
        var width = Math.Max(3, values.Length / 10) | 1;
        Smooth = Average(Median(values, width), width);
        _significant = Deviations * Noise(values) / Math.Sqrt(width);
    }

    /// <summary>The running mean of the running median, which removes spikes.</summary>
    public double[] Smooth { get; }

    /// <summary>The curve of a series; null if a value is missing.</summary>
    public static Curve? Of(IEnumerable<double?> values)
    {
        var all = values.ToArray();
        return all.All(v => v is not null) ? new Curve([.. all.Select(v => v!.Value)]) : null;
    }

    /// <summary>The index of the lowest value if the curve ends significantly above it; otherwise null.</summary>
    /// <param name="end">The end of the curve, exclusive; null: its length.</param>
    public int? LowestBeforeRise(int? end = null)
    {
        var count = end ?? Smooth.Length;
        if (count < 3)
            return null;
        var lowest = Array.IndexOf(Smooth, Smooth.Take(count).Min());
        var rise = Smooth[count - 1] - Smooth[lowest];
        return rise > Math.Max(_significant, LeastShare * Math.Abs(Smooth[lowest])) ? lowest : null;
    }

    /// <summary>
    /// The standard deviation of the noise. A trend cancels in second differences, and bends and spikes do not change their median.
    /// </summary>
    private static double Noise(double[] values)
    {
        var differences = Enumerable.Range(1, values.Length - 2)
            .Select(i => Math.Abs(values[i] - (values[i - 1] + values[i + 1]) / 2)).Order().ToArray();
        // 1.4826 converts the median to the deviation of a Gaussian; a difference has 1.5 times the variance of a value.
        return differences[differences.Length / 2] * 1.4826 / Math.Sqrt(1.5);
    }

    private static double[] Median(double[] values, int width) =>
        [.. Windows(values, width).Select(w => w.Order().ElementAt(w.Count / 2))];

    private static double[] Average(double[] values, int width) => [.. Windows(values, width).Select(w => w.Average())];

    /// <summary>The window around each index, cut off at the ends.</summary>
    private static IEnumerable<ArraySegment<double>> Windows(double[] values, int width) =>
        Enumerable.Range(0, values.Length).Select(i =>
        {
            var first = Math.Max(0, i - width / 2);
            return new ArraySegment<double>(values, first, Math.Min(values.Length, i + width / 2 + 1) - first);
        });
}
