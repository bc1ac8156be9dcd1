namespace Reproduction;

/// <summary>
/// Points of two classes, drawn as the demo code of Ishida et al. (ICML 2020) draws them (github.com/takashiishida/flooding).
/// The features are as drawn, not scaled.
/// </summary>
/// <param name="Features">A vector for each point.</param>
/// <param name="Labels">Whether a point is of the positive class.</param>
internal sealed record SyntheticPoints(IReadOnlyList<float[]> Features, IReadOnlyList<bool> Labels)
{
    /// <summary>
    /// Ten dimensions, unit variance: the positive class has mean 0 in each dimension, the negative class mean 1.
    /// Half of the points are positive.
    /// </summary>
    /// <param name="random">Where the points come from.</param>
    /// <param name="count">Of points, even.</param>
    public static SyntheticPoints Gaussians(Random random, int count) => Halves(count, (positive, _) =>
        [.. Enumerable.Range(0, 10).Select(_ => (float)(Gaussian(random) + (positive ? 0 : 1)))]);

    /// <summary>Two dimensions, mean 0, deviation 2: a point is positive where x0 + sin(x1) is.</summary>
    /// <param name="random">Where the points come from.</param>
    /// <param name="count">Of points.</param>
    public static SyntheticPoints Sinusoid(Random random, int count)
    {
        float[][] points =
            [.. Enumerable.Range(0, count).Select(_ => new[] { (float)(2 * Gaussian(random)), (float)(2 * Gaussian(random)) })];
        return new(points, [.. points.Select(p => p[0] + Math.Sin(p[1]) > 0)]);
    }

    /// <summary>
    /// Two arms of a spiral, each with half of the points at equally spaced angles from 0 to 4 pi. The radius is the angle on the
    /// positive arm and pi more on the negative one. Noise of deviation 1 is added to both coordinates.
    /// </summary>
    /// <param name="random">Where the noise comes from.</param>
    /// <param name="count">Of points, even and at least 4.</param>
    public static SyntheticPoints Spiral(Random random, int count) => Halves(count, (positive, i) =>
    {
        var angle = 4 * Math.PI * i / ((count / 2) - 1);
        var radius = angle + (positive ? 0 : Math.PI);
        return [(float)((radius * Math.Cos(angle)) + Gaussian(random)), (float)((radius * Math.Sin(angle)) + Gaussian(random))];
    });

    /// <summary>The same points with the labels of a share of them, rounded down, replaced by the other class.</summary>
    /// <param name="share">In [0, 1].</param>
    /// <param name="random">Chooses them.</param>
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

    /// <summary>Box and Muller's transform of two uniform numbers to a standard normal one.</summary>
    private static double Gaussian(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
