using Reproduction;

namespace Microsoft.ML.Flooding.Tests.Samples;

/// <summary>The data sets of docs/reproduction.md are as described there.</summary>
[TestClass]
public sealed class SyntheticPointsTests
{
    private const int Count = 20_000;

    [TestMethod]
    public void Gaussians_have_means_0_and_1_and_unit_variance_in_ten_dimensions()
    {
        var points = SyntheticPoints.Gaussians(new Random(1), Count);
        Assert.AreEqual(Count / 2, points.Labels.Count(positive => positive));
        foreach (var positive in new[] { true, false })
            for (var dimension = 0; dimension < 10; dimension++)
            {
                var (mean, variance) = Moments(points.Features.Where((_, i) => points.Labels[i] == positive).Select(p => p[dimension]));
                Assert.AreEqual(positive ? 0 : 1, mean, 0.05);
                Assert.AreEqual(1, variance, 0.08);
            }
        Assert.IsTrue(points.Features.All(p => p.Length == 10));
    }

    [TestMethod]
    public void Sinusoid_is_the_sign_of_x0_and_the_sine_of_x1_over_normal_points_of_deviation_2()
    {
        var points = SyntheticPoints.Sinusoid(new Random(1), Count);
        for (var i = 0; i < Count; i++)
            Assert.AreEqual(points.Features[i][0] + Math.Sin(points.Features[i][1]) > 0, points.Labels[i]);
        for (var dimension = 0; dimension < 2; dimension++)
        {
            var (mean, variance) = Moments(points.Features.Select(p => p[dimension]));
            Assert.AreEqual(0, mean, 0.08);
            Assert.AreEqual(4, variance, 0.2);
        }
    }

    [TestMethod]
    public void Spiral_has_equally_spaced_angles_and_noise_of_deviation_1()
    {
        var points = SyntheticPoints.Spiral(new Random(1), Count);
        Assert.AreEqual(Count / 2, points.Labels.Count(positive => positive));
        foreach (var positive in new[] { true, false })
        {
            var arm = points.Features.Where((_, i) => points.Labels[i] == positive).ToArray();
            var noise = arm.SelectMany((p, i) =>
            {
                var angle = 4 * Math.PI * i / (arm.Length - 1);
                var radius = angle + (positive ? 0 : Math.PI);
                return new[] { (float)(p[0] - (radius * Math.Cos(angle))), (float)(p[1] - (radius * Math.Sin(angle))) };
            });
            var (mean, variance) = Moments(noise);
            Assert.AreEqual(0, mean, 0.04);
            Assert.AreEqual(1, variance, 0.05);
        }
    }

    [TestMethod]
    [DataRow(0, 0)]
    [DataRow(0.05, 5)]
    [DataRow(0.059, 5)]
    [DataRow(1, 100)]
    public void Exactly_the_share_of_labels_is_flipped(double share, int expected)
    {
        var points = SyntheticPoints.Sinusoid(new Random(1), 100);
        var flipped = points.Flip(share, new Random(2));
        Assert.AreEqual(expected, points.Labels.Zip(flipped.Labels, (before, after) => before != after).Count(changed => changed));
        Assert.AreSame(points.Features, flipped.Features);
    }

    [TestMethod]
    public void A_seed_gives_its_points_and_its_flips_and_another_seed_gives_others()
    {
        Func<Random, int, SyntheticPoints>[] sets = [SyntheticPoints.Gaussians, SyntheticPoints.Sinusoid, SyntheticPoints.Spiral];
        foreach (var draw in sets)
        {
            var (features, labels) = Draw(draw, 1);
            var (again, sameLabels) = Draw(draw, 1);
            var (others, otherLabels) = Draw(draw, 2);
            CollectionAssert.AreEqual(features, again);
            CollectionAssert.AreEqual(labels, sameLabels);
            CollectionAssert.AreNotEqual(features, others);
            CollectionAssert.AreNotEqual(labels, otherLabels);
        }
    }

    private static (float[] Features, bool[] Labels) Draw(Func<Random, int, SyntheticPoints> draw, int seed)
    {
        var random = new Random(seed);
        var points = draw(random, 100).Flip(0.1, random);
        return ([.. points.Features.SelectMany(p => p)], [.. points.Labels]);
    }

    private static (double Mean, double Variance) Moments(IEnumerable<float> values)
    {
        var all = values.ToArray();
        var mean = all.Average(v => (double)v);
        return (mean, all.Average(v => (v - mean) * (v - mean)));
    }
}
