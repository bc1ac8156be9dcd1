using Microsoft.ML.Flooding.Objectives;
using Microsoft.ML.Flooding.Tests.Pipeline;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Objectives;

[TestClass]
public sealed class FloodingObjectiveTests
{
    // Losses 0.1 and 0.5 of class 0, 2 of class 1, 0.05 of class 2.
    private static BatchLoss Batch()
    {
        var losses = tensor(new[] { 0.1f, 0.5f, 2f, 0.05f });
        return new BatchLoss(
            reduction => reduction == nn.Reduction.None ? losses : losses.mean(),
            tensor(new[] { 0L, 0, 1, 2 }), tensor(new[] { 4L, 3, 1, 0 }));
    }

    // All five rows have label 0.
    private static ObjectiveFacts Facts(params long[] counts) => new(
        counts, zeros(5, ScalarType.Int64), arange(5), _ => tensor(new[,] { { 0.5f }, { 0.9f }, { 0.1f }, { 1f }, { 0f } }), CPU);

    [TestMethod]
    [DataRow("flood", 0f)]
    [DataRow("iflood", 0.5f)]
    [DataRow("softad", 0.5f)]
    [DataRow("adaflood", 0.5f)]
    [DataRow("classwise", 0.25f)]
    public void The_balance_is_the_share_of_samples_above_their_level_less_that_below(string name, float expected)
    {
        using var scope = NewDisposeScope();
        var objective = name switch
        {
            "flood" => FloodingObjective.Flood,
            "iflood" => FloodingObjective.IndividualFlood,
            "softad" => FloodingObjective.SoftAscentDescent(0.5),
            // Held-out losses: row 4 would be infinite without the limit, row 3 is 0, row 1 is 0.105, row 0 is 0.693.
            "adaflood" => FloodingObjective.AdaFlood(gamma: 0),
            // The mean is 0.3 for class 0, 2 for class 1 and 0.05 for class 2.
            _ => FloodingObjective.ClassWise(0.2f, 1, 1),
        };
        var balance = objective.At(0.3f, Facts(2, 1, 1)).Of(Batch()).Balance!;
        Assert.AreEqual(1 - (2 * expected), balance.item<float>());
    }

    [TestMethod]
    [DataRow(1.5, 1f)]
    [DataRow(1.75, 0f)]
    [DataRow(3.0, -1f)]
    public void The_direction_of_flood_makes_the_gradient_that_of_the_distance_to_the_level(double level, float balance)
    {
        using var scope = NewDisposeScope();
        var weight = tensor(2f).requires_grad_();
        var descent = new Flood(level).Of(new BatchLoss(_ => weight.square() - 2.25f, empty(0), empty(0)));
        var gradient = autograd.grad([descent.Minimised], [weight], [descent.Direction!]).Single();
        var expected = autograd.grad([(weight.square() - 2.25f - (float)level).abs()], [weight]).Single();
        Assert.AreEqual(expected.item<float>(), gradient.item<float>());
        Assert.AreEqual(balance, descent.Balance!.item<float>());
    }

    [TestMethod]
    public void Levels_of_classes_are_in_proportion_to_their_number()
    {
        using var scope = NewDisposeScope();
        var byFrequency = FloodingObjective.ClassWise().At(0.4f, Facts(100, 50, 25)).Of(Batch());
        var given = FloodingObjective.ClassWise(0.4f, 0.2f, 0.1f).At(0, Facts(100, 50, 25)).Of(Batch());
        Assert.AreEqual(given.Minimised.item<float>(), byFrequency.Minimised.item<float>());
        Assert.AreEqual((0.1f * 2 + 1.8f + 0.05f) / 4, given.Minimised.item<float>(), 1e-6f);
    }

    [TestMethod]
    public void A_correction_of_one_leaves_no_level_and_of_zero_the_held_out_loss()
    {
        using var scope = NewDisposeScope();
        var probabilities = tensor(new[] { 0.25f, 1f });
        Assert.AreEqual(0f, AdaFlood.Levels(probabilities, 1).abs().max().item<float>());
        Assert.AreEqual(MathF.Log(4), AdaFlood.Levels(probabilities, 0)[0].item<float>(), 1e-6f);
        Assert.AreEqual(-MathF.Log(0.625f), AdaFlood.Levels(probabilities, 0.5)[0].item<float>(), 1e-6f);
    }

    [TestMethod]
    public void A_level_of_zero_is_plain_training_where_it_says_so()
    {
        Assert.IsInstanceOfType<CrossEntropy>(FloodingObjective.Flood.At(0, Facts(1)));
        Assert.IsInstanceOfType<CrossEntropy>(FloodingObjective.IndividualFlood.At(0, Facts(1)));
        Assert.IsInstanceOfType<CrossEntropy>(FloodingObjective.ClassWise().At(0, Facts(1)));
        Assert.AreEqual(
            WeightAveraging.None, new TrainingOptions { FloodLevel = 0, Objective = FloodingObjective.IndividualFlood }.EffectiveAveraging);
        Assert.AreEqual(
            WeightAveraging.Exponential,
            new TrainingOptions { FloodLevel = 0, Objective = FloodingObjective.AdaFlood() }.EffectiveAveraging);
    }

    /// <summary>Of three classes, a share of 0.3: a label of probability p is given with the probability 0.7 p + 0.15 (1 - p).</summary>
    [TestMethod]
    public void Noisy_labels_are_as_likely_as_right_and_wrong_labels_together()
    {
        using var scope = NewDisposeScope();
        var objective = FloodingObjective.NoisyLabels(0.3);
        var expected = new[] { 0.1, 0.5, 2, 0.05 }.Average(loss => -Math.Log((0.7 * Math.Exp(-loss)) + (0.15 * (1 - Math.Exp(-loss)))));
        Assert.AreEqual(expected, objective.At(0, Facts(2, 1, 1)).Of(Batch()).Minimised.item<float>(), 1e-6);
        Assert.AreEqual(1f, objective.At((float)expected - 0.01f, Facts(2, 1, 1)).Of(Batch()).Balance!.item<float>());
        Assert.AreEqual(-1f, objective.At((float)expected + 0.01f, Facts(2, 1, 1)).Of(Batch()).Balance!.item<float>());
        Assert.IsInstanceOfType<Flood>(FloodingObjective.NoisyLabels(0).At(0.1f, Facts(2, 1, 1)));
        Assert.IsInstanceOfType<Flood>(objective.At(0.1f, Facts(2)));
    }

    [TestMethod]
    public void Noisy_labels_of_images_with_weights_count_by_them()
    {
        using var scope = NewDisposeScope();
        var losses = tensor(new[] { 0.2f, 1.5f });
        BatchLoss Of(float[] weights) => new(_ => losses, tensor(new[] { 0L, 1 }), tensor(new[] { 0L, 1 }), tensor(weights));
        var objective = FloodingObjective.NoisyLabels(0.2).At(0.1f, Facts(1, 1));
        var first = -Math.Log((0.6 * Math.Exp(-0.2)) + 0.2);
        var second = -Math.Log((0.6 * Math.Exp(-1.5)) + 0.2);
        Assert.AreEqual(((1.5 * first) + (0.5 * second)) / 2, objective.Of(Of([1.5f, 0.5f])).Minimised.item<float>(), 1e-6);
    }

    /// <summary>The gradient of a label that is surely wrong is almost 0, where that of the cross-entropy is 1.</summary>
    [TestMethod]
    public void A_label_that_is_surely_wrong_is_not_learned()
    {
        using var scope = NewDisposeScope();
        var logits = tensor(new[,] { { 12f, 0f } }).requires_grad_();
        var labels = tensor(new[] { 1L });
        var loss = new BatchLoss(
            reduction => nn.functional.cross_entropy(logits, labels, reduction: reduction), labels, tensor(new[] { 0L }));
        var descent = FloodingObjective.NoisyLabels(0.2).At(0, Facts(1, 1)).Of(loss);
        Assert.IsLessThan(1e-4f, autograd.grad([descent.Minimised], [logits]).Single().abs().max().item<float>());
    }

    [TestMethod]
    public void Labels_that_are_random_are_refused()
    {
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => FloodingObjective.NoisyLabels(-0.1));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => FloodingObjective.NoisyLabels(double.NaN));
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidOperationException>(() => FloodingObjective.NoisyLabels(0.5).At(0.1f, Facts(1, 1))).Message,
            "NoisyLabels(0.5)");
    }

    [TestMethod]
    public void Parameters_out_of_range_are_refused()
    {
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => FloodingObjective.SoftAscentDescent(0));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => FloodingObjective.AdaFlood(1.5));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => FloodingObjective.AdaFlood(folds: 1));
        Assert.ThrowsExactly<ArgumentException>(() => FloodingObjective.ClassWise(0.1f, float.NaN));
        Assert.ThrowsExactly<InvalidOperationException>(() => FloodingObjective.ClassWise(0.1f).At(0, Facts(1, 1)));
    }

    [TestMethod]
    public void Mixup_is_refused_where_a_level_belongs_to_a_class_or_a_sample()
    {
        void Validate(FloodingObjective objective) =>
            new TrainingOptions { Objective = objective, Augmentation = new Augmentation { MixupAlpha = 0.2 } }.Validate();
        Validate(FloodingObjective.Flood);
        Validate(FloodingObjective.IndividualFlood);
        Validate(FloodingObjective.SoftAscentDescent());
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => Validate(FloodingObjective.AdaFlood())).Message, "AdaFlood");
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => Validate(FloodingObjective.ClassWise())).Message, "Mixup");
        Assert.ThrowsExactly<ArgumentException>(() => Validate(FloodingObjective.NoisyLabels(0.2)));
    }

    [TestMethod]
    public void Auxiliary_networks_continue_from_their_checkpoints_with_the_same_bits()
    {
        var folder = Directory.CreateTempSubdirectory("flooding-folds-");
        try
        {
            var context = new MLContext(seed: 1);
            var train = FashionMnistData.Train(context, 120);
            TrainingHistory Fit(string? checkpoints, Action<EpochMetrics>? callback = null)
            {
                var options = new FloodedImageClassificationTrainer.Options
                {
                    Objective = FloodingObjective.AdaFlood(folds: 2),
                    Epochs = 3,
                    Architecture = Architecture.Mlp,
                    CheckpointDirectory = checkpoints,
                    MetricsCallback = callback,
                };
                using var model = context.MulticlassClassification.Trainers.FloodedImageClassification(options).Fit(train);
                return model.History;
            }
            var undisturbed = Fit(null);
            Assert.ThrowsExactly<OperationCanceledException>(() => Fit(folder.FullName, e => throw new OperationCanceledException()));
            Assert.HasCount(2, folder.GetDirectories("fold-*"));
            var continued = Fit(folder.FullName);
            CollectionAssert.AreEqual(
                undisturbed.Epochs.Select(e => e with { ImagesPerSecond = 0 }).ToArray(),
                continued.Epochs.Select(e => e with { ImagesPerSecond = 0 }).ToArray());
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [TestMethod]
    public void Auxiliary_networks_predict_from_the_epoch_of_the_highest_validation_accuracy()
    {
        var context = new MLContext(seed: 1);
        var rows = FashionMnistData.Rows("train", 400);
        string[] classes = [.. rows.Select(r => r.Class).Distinct()];
        // The validation set is one image of a class without training images. The accuracy is 0 in every epoch, so the first is the best.
        var absent = context.Data.LoadFromEnumerable(rows.Where(r => r.Class == classes[2]).Take(1));
        var train = context.Data.LoadFromEnumerable(rows.Where(r => r.Class == classes[0] || r.Class == classes[1]));
        var keys = context.Transforms.Conversion.MapValueToKey("Label", nameof(FashionMnistData.Row.Class))
            .Fit(context.Data.LoadFromEnumerable(rows));
        EpochMetrics FirstEpoch(int epochs, IDataView validation)
        {
            var options = new FloodedImageClassificationTrainer.Options
            {
                Objective = FloodingObjective.AdaFlood(gamma: 0.05, folds: 2),
                Epochs = epochs,
                BatchSize = 8,
                Architecture = Architecture.Mlp,
                // Unlike the default, the same in runs of different lengths.
                WeightAveraging = new WeightAveraging { Decay = 0.9 },
                ValidationSet = keys.Transform(validation),
            };
            using var model = context.MulticlassClassification.Trainers.FloodedImageClassification(options).Fit(keys.Transform(train));
            return model.History.Epochs[0];
        }
        var best = FirstEpoch(epochs: 6, absent);
        var first = FirstEpoch(epochs: 1, absent);
        var later = FirstEpoch(epochs: 6, train);
        // The levels also affect the first epoch of the flooded network.
        Assert.AreEqual((first.TrainingLoss, first.FloodedShare), (best.TrainingLoss, best.FloodedShare));
        Assert.AreNotEqual(later.TrainingLoss, best.TrainingLoss);
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Every_successor_trains_a_classifier(bool adaptive)
    {
        var context = new MLContext(seed: 1);
        var train = FashionMnistData.Train(context, 400);
        FloodingObjective[] family = adaptive
            ? [FloodingObjective.AdaFlood(folds: 3)]
            : [FloodingObjective.IndividualFlood, FloodingObjective.SoftAscentDescent(0.5), FloodingObjective.ClassWise()];
        foreach (var objective in family)
        {
            var options = new FloodedImageClassificationTrainer.Options
            {
                Objective = objective,
                FloodLevel = 0.5f,
                Epochs = 6,
                Architecture = Architecture.Mlp,
            };
            using var model = context.MulticlassClassification.Trainers.FloodedImageClassification(options).Fit(train);
            var metrics = context.MulticlassClassification.Evaluate(model.Transform(FashionMnistData.Test(context)));
            Assert.IsGreaterThan(0.55, metrics.MicroAccuracy, $"{objective}");
            var share = model.History.Epochs[^1].FloodedShare;
            Assert.IsTrue(share is > 0.02 and < 1, $"{objective}: flooded {share}");
        }
    }
}
