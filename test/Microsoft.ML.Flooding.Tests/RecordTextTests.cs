using System.Reflection;
using Microsoft.ML.Flooding.Tests.Pipeline;

namespace Microsoft.ML.Flooding.Tests;

/// <summary>The text of a public record is for people: it contains no type names, whatever the members are.</summary>
[TestClass]
public sealed class RecordTextTests
{
    [TestMethod]
    public void Every_public_record_prints_its_contents()
    {
        var context = new MLContext(seed: 1);
        var data = FashionMnistData.Train(context, 200);
        using var model = ShortRun.Fit(context, data, o => (o.FloodLevels, o.Epochs) = (FloodLevels.Create(0.1f), 6));
        var scored = model.Transform(data);
        var calibration = context.MulticlassClassification.EvaluateCalibration(scored);
        object[] examples =
        [
            Augmentation.Photo, new EarlyStopping(), WeightAveraging.Exponential, new WeightAveraging { Decay = 0.5 },
            model.History.Stages, new EpochRange(1, 2),
            LearningRateSchedule.Constant, LearningRateSchedule.Cosine with { WarmUpEpochs = 2.5 }, LearningRateSchedule.Paper,
            FloodLevels.Adaptive, FloodLevels.Create(0.02f, 0.05f) with { Pruning = true },
            model.Trials[1], model.Trials[1] with { Pruned = true },
            model.History, model.History.Epochs[0], new HeadTrial(0.01, 7, 0.9, 0.3), new PretrainedWeightsReport(["a"], [], []),
            calibration, calibration.Bins[^1],
            model.LossLandscape(data), model.LossLandscape(data, options: new LossLandscapeOptions { Dimensions = 2, Points = 3 }),
            new LossLandscapeOptions(),
            new ReportOptions(),
            new ReportOptions
            {
                Calibration = calibration,
                ConfusionMatrix = context.MulticlassClassification.Evaluate(scored).ConfusionMatrix,
                Labels = model.Labels,
            },
            FloodingObjective.Flood, FloodingObjective.IndividualFlood, FloodingObjective.SoftAscentDescent(0.5),
            FloodingObjective.AdaFlood(), FloodingObjective.ClassWise(), FloodingObjective.CrossFitted([0.3, 1]),
            FloodingObjective.SelfDistilled(),
            FloodingObjective.LabelSmoothing(), FloodingObjective.NoisyLabels(0.2),
            new LabelIssue { Row = 1, Label = "a", SuggestedLabel = "b", SuggestedProbability = 0.9, SelfConfidence = 0.1,
                NormalizedMargin = 0.1 },
            new DuplicateImages { Rows = [1, 2], Labels = ["a", "b"] },
            new ClassOverlap { Label = "a", TrueLabel = "b", Count = 3, Share = 0.1 },
            FloodingObjective.ClassWise(0.1f, 0.2f),
            FloodingObjective.FromFunction("mean", losses => losses.mean(), flooded: true),
            LearningRateSchedule.FromFunction("linear", progress => progress), OnnxInput.ImageNet,
            new SkippedImage(3, new Dictionary<string, string> { ["Path"] = "a.jpg" }, "it is empty"),
            ClassWeights.None, ClassWeights.Balanced, PretrainedModels.ResNet18, new DownloadProgress(1, 2),
            new ClusterRun("level-0.1", ClusterRunState.Waiting, null, 5, null),
            new ClusterRun("level-0.1", ClusterRunState.Running, "a", 5, model.History.Epochs[0]),
        ];
        foreach (var example in examples)
        {
            var text = example.ToString()!;
            Assert.IsGreaterThan(3, text.Length, text);
            foreach (var name in new[] { "System.", "Microsoft.", "`", "<>", "[]" })
                Assert.IsFalse(text.Contains(name, StringComparison.Ordinal), $"{example.GetType().Name}: {text}");
        }
        var records = typeof(FloodingCatalog).Assembly.GetExportedTypes().Where(IsRecord).ToArray();
        Assert.IsNotEmpty(records);
        foreach (var record in records)
            Assert.IsTrue(examples.Any(record.IsInstanceOfType), $"There is no example of {record.Name}.");
    }

    [TestMethod]
    public void Text_says_what_matters()
    {
        Assert.AreEqual("Step(0.1, 0.5, 0.8)", LearningRateSchedule.Paper.ToString());
        Assert.AreEqual("Cosine after a warm-up of 2.5 epochs", (LearningRateSchedule.Cosine with { WarmUpEpochs = 2.5 }).ToString());
        Assert.AreEqual(
            "0, 0.02, 0.05; by Accuracy, with pruning",
            (FloodLevels.Create(0.02f, 0.05f) with { Metric = ValidationMetric.Accuracy, Pruning = true }).ToString());
        Assert.AreEqual("Adaptive; by AccuracyThenLogLoss", FloodLevels.Adaptive.ToString());
        Assert.AreEqual(
            "0 epochs, flood level b = 0; the model has the raw weights of epoch 0.", new TrainingHistory([], 0, false).ToString());
    }

    [TestMethod]
    public void Text_of_an_input_says_how_an_image_becomes_it() => Assert.AreEqual(
        "blue first, (pixel * 1 - (123.68, 116.779, 103.939)) / (1), less an image of 3 values, 0.875 of the shorter side",
        (OnnxInput.Caffe with { CenterCrop = 0.875, MeanImage = [1, 2, 3] }).ToString());

    private static bool IsRecord(Type type) =>
        type.GetMethod("<Clone>$") is not null
        || (type.IsValueType && type.GetMethod("PrintMembers", BindingFlags.Instance | BindingFlags.NonPublic) is not null);
}
