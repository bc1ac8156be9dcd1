using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Tests.Pipeline;

/// <summary>The transformer at the start, in the middle and at the end of a chain, before and after saving.</summary>
[TestClass]
public sealed class ChainTests
{
    private readonly MLContext _context = new(seed: 1);

    public static IEnumerable<object[]> Places => [["alone"], ["first"], ["middle"], ["last"], ["nested"]];

    [TestMethod]
    [DynamicData(nameof(Places))]
    public void A_chain_scores_the_same_bits_after_saving_and_loading_with_ours(string place)
    {
        var data = FashionMnistData.Train(_context, 120);
        using var model = (IDisposable)Pipeline(place).Fit(data);
        var expected = Scores((ITransformer)model, data);
        var zip = SavedModel.Save(_context, (ITransformer)model, data.Schema);
        using var loaded = (IDisposable)SavedModel.Load(zip);

        var actual = Scores((ITransformer)loaded, data);
        for (var i = 0; i < expected.Length; i++)
            CollectionAssert.AreEqual(expected[i], actual[i]);
        CollectionAssert.AreEqual(
            SavedModel.Read(zip, SavedModel.WeightsEntry),
            SavedModel.Weights(_context, (ITransformer)loaded, data.Schema), "a loaded model can be saved again");
    }

    [TestMethod]
    [DynamicData(nameof(Places))]
    public void A_prediction_engine_works_over_a_chain_with_ours(string place)
    {
        var data = FashionMnistData.Train(_context, 120);
        using var model = (IDisposable)Pipeline(place).Fit(data);
        var expected = Scores((ITransformer)model, data)[0];
        using var engine = _context.Model.CreatePredictionEngine<FashionMnistData.Row, Scored>((ITransformer)model);
        var actual = engine.Predict(FashionMnistData.Rows("train", 1)[0]).Score;
        for (var i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], actual[i], 1e-5f);
    }

    [TestMethod]
    public void A_loaded_transformer_carries_labels_shape_level_and_history()
    {
        var data = FashionMnistData.Train(_context, 120);
        using var model = ShortRun.Fit(_context, data, o => o.FloodLevel = 0.07f);
        using var loaded = (FloodedImageClassificationTransformer)Single(SavedModel.Load(SavedModel.Save(_context, model, data.Schema)));

        Assert.AreEqual(0.07f, loaded.FloodLevel);
        Assert.AreEqual(model.Architecture, loaded.Architecture);
        Assert.AreEqual((28, 28, 1), (loaded.ImageHeight, loaded.ImageWidth, loaded.Channels));
        CollectionAssert.AreEqual(model.Labels.ToArray(), loaded.Labels.ToArray());
        CollectionAssert.AreEqual(model.History.Epochs.ToArray(), loaded.History.Epochs.ToArray());
        Assert.AreEqual(model.History.SelectedEpoch, loaded.History.SelectedEpoch);
        Assert.AreEqual(model.History.AveragedWeights, loaded.History.AveragedWeights);
    }

    [TestMethod]
    public void Two_of_ours_in_one_chain_keep_apart()
    {
        var data = FashionMnistData.Train(_context, 120);
        var pipeline = _context.Transforms.FloodedImageClassification(ShortRun.Options())
            .Append(_context.Transforms.FloodedImageClassification(ShortRun.Options(o =>
                (o.Seed, o.ScoreColumnName, o.PredictedLabelColumnName) = (2, "OtherScore", "OtherLabel"))));
        using var model = pipeline.Fit(data);
        var scored = SavedModel.Load(SavedModel.Save(_context, model, data.Schema)).Transform(data);

        CollectionAssert.AreNotEqual(scored.GetColumn<float[]>("Score").First(), scored.GetColumn<float[]>("OtherScore").First());
        Assert.AreNotEqual(
            _context.MulticlassClassification.Evaluate(scored).LogLoss,
            _context.MulticlassClassification.Evaluate(
                scored, scoreColumnName: "OtherScore", predictedLabelColumnName: "OtherLabel").LogLoss);
    }

    private IEstimator<ITransformer> Pipeline(string place)
    {
        var ours = _context.Transforms.FloodedImageClassification(ShortRun.Options());
        var before = _context.Transforms.CopyColumns("Copy", "Id");
        var after = _context.Transforms.Conversion.MapKeyToValue("Predicted", "PredictedLabel");
        return place switch
        {
            "alone" => ours,
            "first" => ours.Append(after),
            "middle" => before.Append(ours).Append(after),
            "last" => before.Append(ours),
            _ => before.Append(ours.Append(after)).Append(_context.Transforms.DropColumns("Copy")),
        };
    }

    private static float[][] Scores(ITransformer model, IDataView data) => [.. model.Transform(data).GetColumn<float[]>("Score")];

    private static ITransformer Single(ITransformer model) => model is IEnumerable<ITransformer> chain ? chain.Single() : model;

    private sealed class Scored
    {
        public float[] Score { get; set; } = [];
    }
}
