using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Tests.Pipeline;

/// <summary>ML.NET's own components read the output.</summary>
[TestClass]
public sealed class OutputTests
{
    private readonly MLContext _context = new(seed: 1);

    [TestMethod]
    public void Scores_are_probabilities_and_the_label_is_the_most_probable_class()
    {
        var data = FashionMnistData.Train(_context, 200);
        using var model = ShortRun.Fit(_context, data);
        var scored = model.Transform(data);
        foreach (var (score, label) in scored.GetColumn<float[]>("Score").Zip(scored.GetColumn<uint>("PredictedLabel")))
        {
            Assert.HasCount(10, score);
            Assert.AreEqual(1, score.Sum(), 1e-5);
            Assert.IsTrue(score.All(s => s is >= 0 and <= 1));
            Assert.AreEqual(score.Max(), score[label - 1]);
        }
    }

    [TestMethod]
    public void Evaluate_agrees_with_the_scores()
    {
        var data = FashionMnistData.Train(_context, 200);
        using var model = ShortRun.Fit(_context, data);
        var scored = model.Transform(data);
        var truth = data.GetColumn<uint>("Label").ToArray();
        var scores = scored.GetColumn<float[]>("Score").ToArray();
        var metrics = _context.MulticlassClassification.Evaluate(scored);

        Assert.AreEqual(
            scored.GetColumn<uint>("PredictedLabel").Zip(truth).Count(p => p.First == p.Second) / 200.0, metrics.MicroAccuracy, 1e-9);
        Assert.AreEqual(scores.Zip(truth).Average(p => -Math.Log(p.First[p.Second - 1])), metrics.LogLoss, 1e-6);
    }

    [TestMethod]
    public void Cross_validation_trains_a_model_a_fold()
    {
        var data = FashionMnistData.Train(_context, 240);
        var trainer = _context.MulticlassClassification.Trainers.FloodedImageClassification(
            ShortRun.Options(o => (o.Epochs, o.BatchSize) = (10, 16)));
        var folds = _context.MulticlassClassification.CrossValidate(data, trainer, numberOfFolds: 3);

        Assert.HasCount(3, folds);
        Assert.HasCount(3, folds.Select(f => f.Metrics.LogLoss).Distinct().ToArray());
        foreach (var fold in folds)
        {
            Assert.IsGreaterThan(0.4, fold.Metrics.MicroAccuracy);
            ((IDisposable)fold.Model).Dispose();
        }
    }

    [TestMethod]
    public void A_prediction_engine_gives_the_label_back_through_a_chain()
    {
        var data = FashionMnistData.Train(_context, 200);
        var pipeline = _context.Transforms.FloodedImageClassification(ShortRun.Options())
            .Append(_context.Transforms.Conversion.MapKeyToValue("Predicted", "PredictedLabel"));
        using var model = pipeline.Fit(data);
        var expected = model.Transform(data).GetColumn<string>("Predicted").Take(20).ToArray();
        var rows = FashionMnistData.Rows("train", 20);
        using var engine = _context.Model.CreatePredictionEngine<FashionMnistData.Row, FashionMnistData.Prediction>(model);

        CollectionAssert.AreEqual(expected, rows.Select(row => engine.Predict(row).Predicted).ToArray());
        CollectionAssert.AreEqual(engine.Predict(rows[0]).Score, engine.Predict(rows[0]).Score, "the engine reads its row anew each time");
        CollectionAssert.AreNotEqual(engine.Predict(rows[0]).Score, engine.Predict(rows[1]).Score);
    }

    [TestMethod]
    public void Scoring_does_not_depend_on_the_order_of_the_rows()
    {
        var data = FashionMnistData.Train(_context, 150);
        using var model = ShortRun.Fit(_context, data);
        var expected = ById(model.Transform(data), null);
        var shuffled = ById(model.Transform(_context.Data.ShuffleRows(data)), new Random(3));
        CollectionAssert.AreNotEqual(expected.Select(p => p.Id).ToArray(), shuffled.Select(p => p.Id).ToArray());
        CollectionAssert.AreEquivalent(expected.Select(p => p.Id).ToArray(), shuffled.Select(p => p.Id).ToArray());
        foreach (var (id, score) in shuffled)
            Assert.AreEqual(expected[id].Score, score, 1e-6f);

        static (int Id, float Score)[] ById(IDataView view, Random? random)
        {
            var rows = new List<(int, float)>();
            using var cursor = view.GetRowCursor([view.Schema["Id"], view.Schema["Score"]], random);
            var readId = cursor.GetGetter<int>(view.Schema["Id"]);
            var readScore = cursor.GetGetter<VBuffer<float>>(view.Schema["Score"]);
            var id = 0;
            var score = default(VBuffer<float>);
            while (cursor.MoveNext())
            {
                readId(ref id);
                readScore(ref score);
                rows.Add((id, score.GetItemOrDefault(0)));
            }
            return [.. rows];
        }
    }

    [TestMethod]
    public void Any_number_of_threads_may_score_at_once()
    {
        var data = FashionMnistData.Train(_context, 150);
        using var model = ShortRun.Fit(_context, data);
        var expected = Sum();
        Parallel.For(0, 8, _ => Assert.AreEqual(expected, Sum()));

        double Sum() => model.Transform(data).GetColumn<float[]>("Score").Sum(s => (double)s[0]);
    }

    [TestMethod]
    public void A_disposed_transformer_says_so()
    {
        var data = FashionMnistData.Train(_context, 50);
        var model = ShortRun.Fit(_context, data);
        model.Dispose();
        model.Dispose();
        Assert.ThrowsExactly<ObjectDisposedException>(() => model.Transform(data));
    }
}
