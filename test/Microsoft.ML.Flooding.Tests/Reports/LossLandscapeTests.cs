using Microsoft.ML.Flooding.Tests.Pipeline;

namespace Microsoft.ML.Flooding.Tests.Reports;

[TestClass]
public sealed class LossLandscapeTests
{
    [TestMethod]
    public void The_loss_rises_around_a_trained_network_and_is_its_own_in_the_middle()
    {
        var context = new MLContext(seed: 1);
        var train = FashionMnistData.Train(context, 300);
        using var model = context.MulticlassClassification.Trainers.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
        {
            FloodLevel = 0,
            Epochs = 8,
            Architecture = Architecture.Mlp,
            ValidationSetFraction = null,
        }).Fit(train);
        var logLoss = context.MulticlassClassification.Evaluate(model.Transform(train)).LogLoss;

        var line = model.LossLandscape(train, options: new LossLandscapeOptions { Points = 5 });
        Assert.AreEqual(1, line.Dimensions);
        CollectionAssert.AreEqual(new[] { -1, -0.5, 0, 0.5, 1 }, line.Offsets.ToArray());
        Assert.AreEqual(logLoss, line.Loss, 1e-4);
        Assert.IsTrue(line.Losses[0].All(l => l >= line.Loss));
        Assert.AreEqual((line.Losses[0][0] + line.Losses[0][^1]) / 2 - line.Loss, line.Sharpness, 1e-12);
        Assert.IsGreaterThan(
            model.LossLandscape(train, options: new LossLandscapeOptions { Points = 3, Radius = 0.1 }).Sharpness, line.Sharpness);

        var plane = model.LossLandscape(train, options: new LossLandscapeOptions { Points = 3, Dimensions = 2 });
        Assert.HasCount(3, plane.Losses);
        // The first direction does not depend on the second.
        Assert.AreEqual(line.Losses[0][0], plane.Losses[1][0], 1e-9);
        Assert.AreEqual(logLoss, plane.Loss, 1e-4);

        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => model.LossLandscape(train, options: new LossLandscapeOptions { Points = 4 }));
        Assert.ThrowsExactly<ArgumentException>(() => model.LossLandscape(train, "Class"));
    }
}
