namespace Common;

public static class Statistics
{
    /// <summary>Computes the standard deviation of a sample, with n - 1 in the denominator; 0 for a single value.</summary>
    public static double StandardDeviation(this IReadOnlyCollection<double> values)
    {
        var mean = values.Average();
        return values.Count < 2 ? 0 : Math.Sqrt(values.Sum(value => (value - mean) * (value - mean)) / (values.Count - 1));
    }
}
