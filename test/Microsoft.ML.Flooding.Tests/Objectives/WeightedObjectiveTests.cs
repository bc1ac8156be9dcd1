using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Objectives;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Objectives;

/// <summary>The objectives with weights. The figures are computed by hand.</summary>
[TestClass]
public sealed class WeightedObjectiveTests
{
    private static readonly string[] Names = ["plain", "flood", "iflood", "softad", "adaflood", "classwise"];

    private static readonly float[] Losses = [0.1f, 0.5f, 2f, 0.05f];
    private static readonly long[] Labels = [0, 0, 1, 2];
    private static readonly float[] Weights = [1, 3, 0.5f, 2];

    [TestMethod]
    public void J_is_the_weighted_mean_as_PyTorch_takes_it()
    {
        using var scope = NewDisposeScope();
        var logits = tensor(new[] { 1f, 0, -1, 0.5f, 2, 0, -0.5f, 0.5f, 1 }).reshape(3, 3);
        var labels = tensor(new[] { 0L, 1, 2 });
        var ofClass = tensor(new[] { 0.5f, 2, 1.25f });
        var expected = nn.functional.cross_entropy(logits, labels, weight: ofClass);
        var loss = new BatchLoss(reduction => nn.functional.cross_entropy(logits, labels, reduction: reduction), labels, labels, ofClass);
        Assert.AreEqual(expected.item<float>(), loss.Mean.item<float>(), 1e-6f);
    }

    [TestMethod]
    // Sums of w l: 0.1 + 1.5 + 1 + 0.1 = 2.7 of 4; J = 2.7 / 6.5 = 0.415.
    [DataRow("plain", 2.7 / 4)]
    [DataRow("flood", 2.7 / 4)]
    // |l - 0.3|: 0.2, 0.2, 1.7, 0.25.
    [DataRow("iflood", (0.2 + 0.6 + 0.85 + 0.5) / 4)]
    // 0.4 sqrt(0.16 + (l - 0.3)^2): roots 0.447214, 0.447214, 1.746425, 0.471699.
    [DataRow("softad", 0.4 * (0.447214 + (3 * 0.447214) + (0.5 * 1.746425) + (2 * 0.471699)) / 4)]
    // |l - level| with levels 0, 0.4, 0.6, 0.2 of rows 3 to 0.
    [DataRow("adaflood", (0.1 + (3 * 0.1) + (0.5 * 1.4) + (2 * 0.15)) / 4)]
    // Class 0: |1 (0.1 - 0.2) + 3 (0.5 - 0.2)| = 0.8; class 1: 0.5 |2 - 1|; class 2: 2 |0.05 - 1|.
    [DataRow("classwise", (0.8 + 0.5 + 1.9) / 4)]
    public void Each_term_counts_by_its_weight(string name, double expected)
    {
        using var scope = NewDisposeScope();
        Assert.AreEqual(expected, Of(name).Of(Batch(tensor(Losses), tensor(Weights))).Minimised.item<float>(), 1e-5);
    }

    [TestMethod]
    // J = 2.7 / 6.5 = 0.4154; the unweighted mean is 0.6625, the sum of w l over N 0.675.
    [DataRow(0.41, 1f)]
    [DataRow(0.42, -1f)]
    [DataRow(0.67, -1f)]
    public void The_flood_is_about_the_weighted_mean(double level, float sign)
    {
        using var scope = NewDisposeScope();
        var descent = new Flood(level).Of(Batch(tensor(Losses), tensor(Weights)));
        Assert.AreEqual(sign, descent.Direction!.item<float>());
        Assert.AreEqual(sign, descent.Balance!.item<float>());
    }

    /// <summary>The sum over the samples, because their number differs.</summary>
    [TestMethod]
    public void A_weight_of_two_pulls_as_two_images_do()
    {
        using var scope = NewDisposeScope();
        foreach (var name in Names)
        {
            var twice = Gradient(name, [0, 1, 2, 3], [1, 2, 1, 2]).Select(g => g * 4).ToArray();
            var repeated = Gradient(name, [0, 1, 1, 2, 3, 3], null).Select(g => g * 6).ToArray();
            float[] merged = [repeated[0], repeated[1] + repeated[2], repeated[3], repeated[4] + repeated[5]];
            for (var i = 0; i < 4; i++)
                Assert.AreEqual(merged[i], twice[i], 1e-5f, $"{name}, sample {i}");
        }
    }

    /// <summary>
    /// If each batch were normalized by its own weights, the sample of weight 9 would be half of one batch and almost all of another.
    /// </summary>
    [TestMethod]
    public void Over_the_batches_the_gradient_is_that_of_the_weighted_mean_of_all()
    {
        using var scope = NewDisposeScope();
        float[] weights = [0.1f, 0.4f, 0.7f, 2.8f];
        var whole = Gradient("plain", [0, 1, 2, 3], weights);
        var first = Gradient("plain", [0, 3], [weights[0], weights[3]]);
        var second = Gradient("plain", [1, 2], [weights[1], weights[2]]);
        float[] mean = [first[0] / 2, second[0] / 2, second[1] / 2, first[1] / 2];
        for (var i = 0; i < 4; i++)
        {
            Assert.AreEqual(whole[i], mean[i], 1e-6f);
            Assert.AreEqual(weights[i] / 4, whole[i], 1e-6f);
        }
    }

    [TestMethod]
    public void Weights_of_one_give_the_value_of_none()
    {
        using var scope = NewDisposeScope();
        foreach (var name in Names)
            Assert.AreEqual(
                Of(name).Of(Batch(tensor(Losses), null)).Minimised.item<float>(),
                Of(name).Of(Batch(tensor(Losses), ones(4))).Minimised.item<float>(), 1e-6f, name);
    }

    [TestMethod]
    public void Under_mixup_each_label_has_the_weight_of_its_image()
    {
        using var scope = NewDisposeScope();
        var mixup = new Mixup(tensor(new[] { 1L, 0 }), tensor(0.75f));
        var (weighted, weights) = mixup.Weigh(tensor(new[] { 2f, 0.4f }));
        // 0.75 * 2 + 0.25 * 0.4 and 0.75 * 0.4 + 0.25 * 2.
        Assert.AreEqual(1.6f, weights[0].item<float>(), 1e-6f);
        Assert.AreEqual(0.8f, weights[1].item<float>(), 1e-6f);
        var sums = weighted.MixLosses(tensor(new[] { 1f, 3 }), tensor(new[] { 5f, 7 })).mul(weights);
        Assert.AreEqual((0.75f * 2 * 1) + (0.25f * 0.4f * 5), sums[0].item<float>(), 1e-5f);
        Assert.AreEqual((0.75f * 0.4f * 3) + (0.25f * 2 * 7), sums[1].item<float>(), 1e-5f);
    }

    [TestMethod]
    public void The_temperature_is_that_of_repeated_rows()
    {
        using var scope = NewDisposeScope();
        var logits = tensor(new[] { 2f, 0, 1, 0, 0, 3, 1, 0 }).reshape(4, 2);
        var labels = tensor(new[] { 0L, 1, 1, 0 });
        var repeated = tensor(new[] { 0L, 0, 0, 1, 2, 2, 3 });
        var expected = Temperature.Fit(logits.index_select(0, repeated), labels.index_select(0, repeated)).Value;
        Assert.AreEqual(expected, Temperature.Fit(logits, labels, tensor(new[] { 3f, 1, 2, 1 })).Value, 1e-6);
        Assert.AreNotEqual(expected, Temperature.Fit(logits, labels).Value, 1e-2);
    }

    private static Objective Of(string name) => name switch
    {
        "plain" => new CrossEntropy(),
        "flood" => new Flood(0.3),
        "iflood" => new IndividualFlood(0.3),
        "softad" => new SoftAscentDescent(0.3, 0.4),
        "adaflood" => new AdaFlood(tensor(new[] { 0.2f, 0.6f, 0.4f, 0f })),
        _ => new ClassWise(tensor(new[] { 0.2f, 1, 1 })),
    };

    private static BatchLoss Batch(Tensor losses, Tensor? weights, long[]? samples = null)
    {
        samples ??= [0, 1, 2, 3];
        return new BatchLoss(
            reduction => reduction == nn.Reduction.None ? losses : losses.mean(),
            tensor(samples.Select(i => Labels[i]).ToArray()), tensor(samples.Select(i => 3 - i).ToArray()), weights);
    }

    /// <summary>With respect to the losses of the samples.</summary>
    private static float[] Gradient(string name, long[] samples, float[]? weights)
    {
        var losses = tensor(samples.Select(i => Losses[i]).ToArray()).requires_grad_();
        var descent = Of(name).Of(Batch(losses, weights is null ? null : tensor(weights), samples));
        var gradients = autograd.grad([descent.Minimised], [losses], descent.Direction is { } direction ? [direction] : null);
        return [.. gradients.Single().data<float>()];
    }
}
