using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Tests.Pipeline;

[TestClass]
public sealed class EndToEndTests
{
    [TestMethod]
    public void A_trained_model_evaluates_saves_loads_and_predicts_the_same_bits()
    {
        var context = new MLContext(seed: 1);
        context.Log += (_, e) => { if (e.Source.Contains("Training", StringComparison.Ordinal)) Console.WriteLine(e.Message); };
        var train = FashionMnistData.Train(context, 1000);
        var test = FashionMnistData.Test(context);
        var pipeline = context.Transforms.FloodedImageClassification(
            new FloodedImageClassificationTrainer.Options { FloodLevel = 0.03f, Epochs = 3, Architecture = Architecture.Mlp })
            .Append(context.Transforms.Conversion.MapKeyToValue("Predicted", "PredictedLabel"));
        using var model = pipeline.Fit(train);
        var metrics = context.MulticlassClassification.Evaluate(model.Transform(test));
        Console.WriteLine($"accuracy {metrics.MicroAccuracy} log-loss {metrics.LogLoss}");
        Assert.IsGreaterThan(0.6, metrics.MicroAccuracy);

        var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName() + ".zip");
        context.Model.Save(model, train.Schema, path);
        var other = new MLContext();
        var loaded = other.Model.Load(path, out var schema);
        var expected = model.Transform(test).GetColumn<float[]>("Score").ToArray();
        var actual = loaded.Transform(FashionMnistData.Test(other)).GetColumn<float[]>("Score").ToArray();
        Assert.AreEqual(expected.Length, actual.Length);
        for (var i = 0; i < expected.Length; i++)
            CollectionAssert.AreEqual(expected[i], actual[i]);

        using var engine = other.Model.CreatePredictionEngine<FashionMnistData.Row, FashionMnistData.Prediction>(loaded);
        var prediction = engine.Predict(FashionMnistData.Rows("t10k", 1)[0]);
        CollectionAssert.AreEqual(
            expected[0], prediction.Score, Comparer<float>.Create((a, b) => Math.Abs(a - b) < 1e-5f ? 0 : a.CompareTo(b)));
        Assert.AreEqual(model.Transform(test).GetColumn<string>("Predicted").First(), prediction.Predicted);
        File.Delete(path);
    }
}
