namespace Reproduction;

/// <summary>
/// Points of two classes, drawn as in the demo code of Ishida et al. (ICML 2020), github.com/takashiishida/flooding.
/// The features are not scaled.
/// </summary>
/// <param name="Features">The vector of each point.</param>
/// <param name="Labels">Whether each point belongs to the positive class.</param>
internal sealed record SyntheticPoints(IReadOnlyList<float[]> Features, IReadOnlyList<bool> Labels)
{
    /// <summary>
    /// Draws points of ten dimensions with unit variance. In each dimension, the mean is 0 for the positive class and 1 for the
    /// negative class. Half of the points are positive.
    /// </summary>
    /// <param name="random">The source of random numbers.</param>
    /// <param name="count">The number of points, an even number.</param>
    public static SyntheticPoints Gaussians(Random random, int count) => Halves(count, (positive, _) =>
        [.. Enumerable.Range(0, 10).Select(_ => (float)(Gaussian(random) + (positive ? 0 : 1)))]);

    /// <summary>Draws points of two dimensions with mean 0 and standard deviation 2. A point is positive if x0 + sin(x1) is.</summary>
    /// <param name="random">The source of random numbers.</param>
    /// <param name="count">The number of points.</param>
    public static SyntheticPoints Sinusoid(Random random, int count)
    {
        float[][] points =
            [.. Enumerable.Range(0, count).Select(_ => new[] { (float)(2 * Gaussian(random)), (float)(2 * Gaussian(random)) })];
        return new(points, [.. points.Select(p => p[0] + Math.Sin(p[1]) > 0)]);
    }

    /// <summary>
    /// Draws the two arms of a spiral, each with half of the points at equally spaced angles from 0 to 4 pi. The radius is the
    /// angle on the positive arm and the angle plus pi on the negative arm. Both coordinates get noise with standard deviation 1.
    /// </summary>
    /// <param name="random">The source of random numbers.</param>
    /// <param name="count">The number of points, an even number of at least 4.</param>
    public static SyntheticPoints Spiral(Random random, int count) => Halves(count, (positive, i) =>
    {
        var angle = 4 * Math.PI * i / ((count / 2) - 1);
        var radius = angle + (positive ? 0 : Math.PI);
        return [(float)((radius * Math.Cos(angle)) + Gaussian(random)), (float)((radius * Math.Sin(angle)) + Gaussian(random))];
    });

    /// <summary>Returns the same points with a share of the labels flipped. The number of flips is rounded down.</summary>
    /// <param name="share">The share, in [0, 1].</param>
    /// <param name="random">The source of random numbers.</param>
    public SyntheticPoints Flip(double share, Random random)
    {
        var order = Enumerable.Range(0, Labels.Count).ToArray();
        random.Shuffle(order);
        var flipped = Labels.ToArray();
        foreach (var i in order.AsSpan(0, (int)(Labels.Count * share)))
            flipped[i] = !flipped[i];
        return this with { Labels = flipped };
    }

    private static SyntheticPoints Halves(int count, Func<bool, int, float[]> point)
    {
        var half = count / 2;
        return new(
            [.. Enumerable.Range(0, 2 * half).Select(i => point(i < half, i % half))],
            [.. Enumerable.Range(0, 2 * half).Select(i => i < half)]);
    }

    /// <summary>Draws a standard normal number: the Box-Muller transform of two uniform numbers.</summary>
    private static double Gaussian(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
