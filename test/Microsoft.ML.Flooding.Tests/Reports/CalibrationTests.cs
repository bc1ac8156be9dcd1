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
        return context.Transforms.Conversion.MapValueToKey(
            "Label", "Class", keyOrdinality: Transforms.ValueToKeyMappingEstimator.KeyOrdinality.ByValue)
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
            Assert.ThrowsExactly<ArgumentException>(
                () => context.MulticlassClassification.EvaluateCalibration(data, scoreColumnName: "Probability")).Message, "Probability");
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
        // The labels are drawn from the softmax of the logits, so the best temperature is 1.
        var logits = randn([50_000, 5], generator: generator) * 2;
        var labels = logits.softmax(1).multinomial(1, generator: generator).squeeze(1);
        var found = Temperature.Fit(logits * temperature, labels);
        Assert.AreEqual(temperature, found.Value, 0.03 * temperature);
        Assert.IsNull(found.Warning);
    }

    [TestMethod]
    [DataRow(100)]
    [DataRow(10_000)]
    public void Images_that_are_all_classified_correctly_give_the_temperature_of_one_error_in_two_more(int count)
    {
        using var scope = NewDisposeScope();
        const int Classes = 5;
        const double Margin = 10;
        var labels = arange(count) % Classes;
        var found = Temperature.Fit(nn.functional.one_hot(labels, Classes).to(ScalarType.Float32) * Margin, labels);
        // A softmax of one logit of Margin / T among zeros is 1 - 1 / (count + 2) there.
        Assert.AreEqual(Margin / Math.Log((Classes - 1.0) * (count + 1)), found.Value, 1e-5);
        StringAssert.Contains(found.Warning!, $"All {count} validation images are classified correctly");
    }

    [TestMethod]
    [DataRow("no better than chance")]
    [DataRow("no better than chance, on equal logits")]
    [DataRow("so small", 1e-6)]
    public void Logits_that_no_temperature_suits_keep_the_temperature_1(string warning, double scale = 0)
    {
        using var scope = NewDisposeScope();
        var labels = arange(60) % 3;
        var right = nn.functional.one_hot(labels, 3).to(ScalarType.Float32);
        var logits = scale > 0 ? right * scale : warning.Contains("equal", StringComparison.Ordinal) ? zeros_like(right) : right * -4;
        var found = Temperature.Fit(logits, labels);
        Assert.AreEqual(1, found.Value);
        StringAssert.Contains(found.Warning!, warning.Split(',')[0]);
    }

    [TestMethod]
    public void One_class_needs_no_temperature() =>
        Assert.AreEqual(new Temperature(1, null), Temperature.Fit(ones(4, 1), zeros(4, ScalarType.Int64)));

    [TestMethod]
    public void A_fitted_temperature_lowers_the_log_loss_of_an_individual_flood_and_is_saved()
    {
        var context = new MLContext(seed: 1);
        var train = FashionMnistData.Train(context, 1000);
        var test = FashionMnistData.Test(context, 500);
        FloodedImageClassificationTransformer Fit(bool temperature) => context.MulticlassClassification.Trainers.FloodedImageClassification(
            new FloodedImageClassificationTrainer.Options
            {
                Objective = FloodingObjective.IndividualFlood,
                FloodLevel = 0.7f,
                Epochs = 15,
                Architecture = Architecture.Mlp.WithHiddenSizes(100),
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
        CollectionAssert.AreEqual(
            with.Transform(test).GetColumn<float[]>("Score").First(), loaded.Transform(test).GetColumn<float[]>("Score").First());
    }

    private sealed class ScoredRow
    {
        public string Class { get; set; } = "";

        [VectorType(2)]
        public float[] Score { get; set; } = [];
    }
}
