using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Tests.Pipeline;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Reports;

[TestClass]
public sealed class CalibrationTests
{
    private static IDataView Scored(MLContext context, params (string Class, float[] Score)[] rows)
    {
        var data = context.Data.LoadFromEnumerable(rows.Select(r => new ScoredRow { Class = r.Class, Score = r.Score }));
        return context.Transforms.Conversion.MapValueToKey("Label", "Class", keyOrdinality: Transforms.ValueToKeyMappingEstimator.KeyOrdinality.ByValue)
            .Fit(data).Transform(data);
    }

    [TestMethod]
    public void The_error_is_the_mean_distance_of_confidence_and_accuracy()
    {
        var context = new MLContext();
        var data = Scored(context,
            ("a", [0.9f, 0.1f]), ("a", [0.9f, 0.1f]), ("b", [0.9f, 0.1f]), ("b", [0.9f, 0.1f]), // confidence 0.9, accuracy 0.5
            ("b", [0.4f, 0.6f]), ("b", [0.4f, 0.6f]));                                          // confidence 0.6, accuracy 1
        var metrics = context.MulticlassClassification.EvaluateCalibration(data, bins: 5);
        Assert.AreEqual((4 * 0.4 + 2 * 0.4) / 6, metrics.ExpectedCalibrationError, 1e-6);
        Assert.AreEqual(0.4, metrics.MaximumCalibrationError, 1e-6);
        Assert.AreEqual((4 * 0.4 - 2 * 0.4) / 6, metrics.Overconfidence, 1e-6);
        Assert.AreEqual(6, metrics.Count);
        CollectionAssert.AreEqual(new long[] { 0, 0, 2, 0, 4 }, metrics.Bins.Select(b => b.Count).ToArray());
        Assert.AreEqual(1, metrics.Bins[2].Accuracy);
        Assert.AreEqual(0.6, metrics.Bins[2].UpperBound, 1e-9);
    }

    [TestMethod]
    public void Wrong_columns_are_named()
    {
        var context = new MLContext();
        var data = Scored(context, ("a", [1f, 0f]));
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => context.MulticlassClassification.EvaluateCalibration(data, scoreColumnName: "Probability")).Message, "Probability");
        Assert.ThrowsExactly<ArgumentException>(() => context.MulticlassClassification.EvaluateCalibration(data, labelColumnName: "Class"));
        Assert.ThrowsExactly<ArgumentException>(() => context.MulticlassClassification.EvaluateCalibration(data, scoreColumnName: "Label"));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => context.MulticlassClassification.EvaluateCalibration(data, bins: 0));
    }

    [TestMethod]
    [DataRow(0.3)]
    [DataRow(1.0)]
    [DataRow(4.0)]
    public void The_temperature_that_logits_were_made_with_is_found(double temperature)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        // Labels drawn from the softmax of the logits: 1 is the temperature that suits them.
        var logits = randn([50_000, 5], generator: generator) * 2;
        var labels = logits.softmax(1).multinomial(1, generator: generator).squeeze(1);
        Assert.AreEqual(temperature, Temperature.Fit(logits * temperature, labels), 0.03 * temperature);
    }

    [TestMethod]
    public void A_fitted_temperature_lowers_the_log_loss_of_an_individual_flood_and_is_saved()
    {
        var context = new MLContext(seed: 1);
        var train = FashionMnistData.Train(context, 1000);
        var test = FashionMnistData.Test(context, 500);
        FloodedImageClassificationTransformer Fit(bool temperature) => context.MulticlassClassification.Trainers.FloodedImageClassification(
            new FloodedImageClassificationTrainer.Options
            {
                Objective = FloodingObjective.IFlood,
                FloodLevel = 0.7f,
                Epochs = 15,
                Architecture = Architecture.Mlp,
                ValidationSetFraction = 0.2,
                FitTemperature = temperature,
            }).Fit(train);
        using var without = Fit(false);
        using var with = Fit(true);
        Assert.AreEqual(1, without.Temperature);
        Assert.IsLessThan(0.9, with.Temperature);
        var before = context.MulticlassClassification.Evaluate(without.Transform(test));
        var after = context.MulticlassClassification.Evaluate(with.Transform(test));
        Assert.AreEqual(before.MicroAccuracy, after.MicroAccuracy);
        Assert.IsLessThan(before.LogLoss, after.LogLoss);
        Assert.IsLessThan(
            context.MulticlassClassification.EvaluateCalibration(without.Transform(test)).ExpectedCalibrationError,
            context.MulticlassClassification.EvaluateCalibration(with.Transform(test)).ExpectedCalibrationError);

        using var file = new MemoryStream();
        context.Model.Save(with, train.Schema, file);
        var loaded = new MLContext().Model.Load(file, out _);
        CollectionAssert.AreEqual(with.Transform(test).GetColumn<float[]>("Score").First(), loaded.Transform(test).GetColumn<float[]>("Score").First());
    }

    private sealed class ScoredRow
    {
        public string Class { get; set; } = "";

        [VectorType(2)]
        public float[] Score { get; set; } = [];
    }
}
