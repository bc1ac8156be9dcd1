using Microsoft.ML.Flooding.Tests.Pipeline;

namespace Microsoft.ML.Flooding.Tests.Training;

/// <summary>A mini-batch that is computed in parts gives the step of the whole mini-batch.</summary>
[TestClass]
public sealed class MicroBatchTests
{
    private readonly MLContext _context = new(seed: 1);

    public static IEnumerable<object[]> Objectives =>
    [
        [FloodingObjective.Flood, 0f], [FloodingObjective.Flood, 2f], [FloodingObjective.IndividualFlood, 2f],
        [FloodingObjective.SoftAscentDescent(1), 2f], [FloodingObjective.AdaFlood(folds: 2), 0f],
    ];

    /// <summary>At a level of 2, the sign of J - b changes from step to step, and the parts are not all on the same side.</summary>
    [TestMethod]
    [DynamicData(nameof(Objectives))]
    public void Parts_train_as_the_whole(FloodingObjective objective, float level)
    {
        void Set(FloodedImageClassificationTrainer.Options o) => (o.Objective, o.FloodLevel, o.MaxGradientNorm) = (objective, level, 5);
        var whole = Train(Set);
        foreach (var size in new[] { 1, 7, 63 })
            AssertSame(whole, Train(o =>
            {
                Set(o);
                o.MicroBatchSize = size;
            }));
        if (level > 0 && objective == FloodingObjective.Flood)
            Assert.IsTrue(whole.Any(epoch => epoch.FloodedShare is > 0 and < 1), "the level is reached in some of the steps");
    }

    [TestMethod]
    public void Mixup_and_weights_are_those_of_the_whole()
    {
        void Set(FloodedImageClassificationTrainer.Options o)
        {
            o.Augmentation = Augmentation.None with { MixupAlpha = 0.5 };
            o.ClassWeights = ClassWeights.Create([5, .. Enumerable.Repeat(1f, 9)]);
            o.FloodLevel = 2;
        }

        var whole = Train(Set);
        AssertSame(whole, Train(o =>
        {
            Set(o);
            o.MicroBatchSize = 10;
        }));
    }

    [TestMethod]
    public void A_size_of_the_mini_batch_or_more_changes_no_bit()
    {
        var data = FashionMnistData.Train(_context, 100);
        byte[] Weights(int? size)
        {
            using var model = ShortRun.Fit(_context, data, o => o.MicroBatchSize = size);
            return SavedModel.Weights(_context, model, data.Schema);
        }

        CollectionAssert.AreEqual(Weights(null), Weights(64));
        CollectionAssert.AreEqual(Weights(null), Weights(1000));
    }

    [TestMethod]
    public void What_cannot_be_divided_is_refused()
    {
        var range = Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Trainer(o => o.MicroBatchSize = 0));
        StringAssert.Contains(range.Message, "MicroBatchSize must be at least 1");
        foreach (var objective in new[]
        {
            FloodingObjective.ClassWise(), FloodingObjective.FromFunction("largest", losses => losses.max()),
        })
        {
            var e = Assert.ThrowsExactly<ArgumentException>(() => Trainer(o => (o.Objective, o.MicroBatchSize) = (objective, 8)));
            StringAssert.Contains(e.Message, "needs all samples of a mini-batch at once");
            Trainer(o => (o.Objective, o.MicroBatchSize) = (objective, 64));
        }
        var single = Assert.ThrowsExactly<ArgumentException>(
            () => ShortRun.Fit(_context, FashionMnistData.Train(_context, 20), o => o.MicroBatchSize = 1));
        StringAssert.Contains(single.Message, nameof(TrainingOptions.MicroBatchSize));
    }

    private void Trainer(Action<FloodedImageClassificationTrainer.Options> change) =>
        _context.Transforms.FloodedImageClassification(ShortRun.Options(change));

    /// <summary>Without batch norm.</summary>
    private IReadOnlyList<EpochMetrics> Train(Action<FloodedImageClassificationTrainer.Options> change)
    {
        using var model = ShortRun.Fit(_context, FashionMnistData.Train(_context, 200), o =>
        {
            (o.Architecture, o.Epochs, o.LearningRate) = (Architecture.Mlp.WithHiddenSizes(), 4, 0.01);
            change(o);
        });
        return model.History.Epochs;
    }

    private static void AssertSame(IReadOnlyList<EpochMetrics> expected, IReadOnlyList<EpochMetrics> actual)
    {
        foreach (var (a, b) in expected.Zip(actual))
        {
            Assert.AreEqual(a.TrainingLoss, b.TrainingLoss, 1e-5);
            Assert.AreEqual(a.ValidationLoss!.Value, b.ValidationLoss!.Value, 1e-5);
            Assert.AreEqual(a.FloodedShare, b.FloodedShare, 1e-6);
            Assert.AreEqual(a.GradientNorm, b.GradientNorm, 1e-4);
        }
    }
}
