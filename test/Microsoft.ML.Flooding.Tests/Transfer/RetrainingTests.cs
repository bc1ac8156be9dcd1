using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Scoring;
using Microsoft.ML.Flooding.Tests.Pipeline;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Transfer;

/// <summary>Training that continues from a trained model.</summary>
[TestClass]
public sealed class RetrainingTests
{
    private static readonly string[] Old = ["Bag", "Boot", "Coat"];

    private readonly MLContext _context = new(seed: 1);

    [TestMethod]
    public void Continues_from_the_weights_of_the_model()
    {
        var data = FashionMnistData.Train(_context, 400);
        using var first = ShortRun.Fit(_context, data, o => o.Epochs = 5);
        using var second = Trainer(o => o.Epochs = 1).Fit(data, first);
        Assert.IsLessThan(first.History.Epochs[0].TrainingLoss / 2, second.History.Epochs[0].TrainingLoss);
        Assert.AreEqual(first.Architecture, second.Architecture);
        CollectionAssert.AreEqual(first.Labels.ToArray(), second.Labels.ToArray());
        CollectionAssert.AreEqual(first.Description.Normalization.Mean, second.Description.Normalization.Mean);
    }

    [TestMethod]
    public void Model_stays_as_it_was()
    {
        var data = FashionMnistData.Train(_context, 200);
        using var first = ShortRun.Fit(_context, data);
        var before = SavedModel.Save(_context, first, data.Schema);
        Trainer().Fit(data, first).Dispose();
        CollectionAssert.AreEqual(SavedModel.Read(before, SavedModel.WeightsEntry), SavedModel.Weights(_context, first, data.Schema));
    }

    [TestMethod]
    public void Model_may_lie_in_a_chain_from_a_file()
    {
        var data = FashionMnistData.Train(_context, 200);
        using var chain = new EstimatorChain<ITransformer>().Append(_context.Transforms.CopyColumns("Copy", "Features"))
            .Append(_context.Transforms.FloodedImageClassification(ShortRun.Options()))
            .Append(_context.Transforms.Conversion.MapKeyToValue("Predicted", "PredictedLabel")).Fit(data);
        var loaded = SavedModel.Load(SavedModel.Save(_context, chain, data.Schema));
        using var second = Trainer(o => o.Epochs = 1).Fit(data, loaded);
        Assert.HasCount(10, second.Labels);
        ((IDisposable)loaded).Dispose();
        var e = Assert.ThrowsExactly<ArgumentException>(
            () => Trainer().Fit(data, _context.Transforms.CopyColumns("Copy", "Features").Fit(data)));
        StringAssert.Contains(e.Message, nameof(FloodedImageClassificationTransformer));
    }

    [TestMethod]
    public void New_classes_extend_the_head_and_learned_rows_stay()
    {
        using var scope = NewDisposeScope();
        using var first = ShortRun.Fit(_context, Data(Old), o => o.Epochs = 4);
        var extended = Data("Sandal", "Coat", "Bag");
        // A learning rate of almost 0 shows the starting point of the run.
        using var second = Trainer(o => (o.Epochs, o.LearningRate, o.WeightAveraging) = (1, 1e-12, WeightAveraging.None))
            .Fit(extended, first);
        CollectionAssert.AreEqual(new[] { "Sandal", "Coat", "Bag", "Boot" }, second.Labels.ToArray());
        using var before = first.CopyNetwork();
        using var after = second.CopyNetwork();
        foreach (var name in Old)
        {
            var (from, to) = (first.Labels.ToList().IndexOf(name), second.Labels.ToList().IndexOf(name));
            Assert.IsTrue(before.Head.weight![from].Equals(after.Head.weight![to]), name);
            Assert.IsTrue(before.Head.bias![from].Equals(after.Head.bias![to]), name);
        }
        // The keys of the data come first, in their order, so that evaluation on the data remains valid.
        var metrics = _context.MulticlassClassification.Evaluate(second.Transform(extended));
        Assert.AreEqual(4, metrics.ConfusionMatrix.NumberOfClasses);
        Assert.IsGreaterThan(0.5, metrics.MicroAccuracy);
    }

    [TestMethod]
    public void New_class_is_learned_and_known_ones_are_not_lost()
    {
        using var first = ShortRun.Fit(_context, Data(Old), o => o.Epochs = 6);
        var all = Data([.. Old, "Sandal"]);
        using var second = Trainer(o => o.Epochs = 6).Fit(all, first);
        Assert.IsGreaterThan(0.85, _context.MulticlassClassification.Evaluate(second.Transform(all)).MacroAccuracy);
    }

    [TestMethod]
    public void What_does_not_go_with_the_model_is_refused()
    {
        var data = FashionMnistData.Train(_context, 50);
        using var first = ShortRun.Fit(_context, data);
        void Refused(string word, Action<FloodedImageClassificationTrainer.Options> change, IDataView? other = null) =>
            StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => Trainer(change).Fit(other ?? data, first)).Message, word);

        Refused(nameof(TrainingOptions.Architecture), o => o.Architecture = Architecture.ConvNet);
        Refused("ImageWidth", o => (o.ImageWidth, o.ImageHeight) = (14, 56));
        Refused(nameof(TrainingOptions.PretrainedWeights), o => o.PretrainedWeights = "x.safetensors");
        var numbered = _context.Data.LoadFromEnumerable(FashionMnistData.Rows("train", 20));
        Refused("label values", _ => { }, _context.Transforms.Conversion.MapValueToKey("Label", "Id").Fit(numbered).Transform(numbered));
        Assert.ThrowsExactly<ArgumentNullException>(() => Trainer().Fit(data, null!));
    }

    /// <summary>A byte key has 255 values. The two models together can have more. Fit must detect it, not scoring.</summary>
    [TestMethod]
    public void A_union_of_labels_beyond_the_key_type_is_refused_in_Fit()
    {
        static LabelKeys Keys(string type, int first, int count) =>
            new(type, count, "Text", [.. Enumerable.Range(first, count).Select(i => $"{i}")]);
        var own = Keys(nameof(Byte), 0, 200);
        Assert.AreEqual(255, own.With(Keys(nameof(UInt32), 0, 255)).Labels.Count);
        var e = Assert.ThrowsExactly<ArgumentException>(() => own.With(Keys(nameof(UInt32), 100, 200)));
        StringAssert.Contains(e.Message, "255");
        StringAssert.Contains(e.Message, "MapValueToKey");
        Assert.AreEqual(300, Keys(nameof(UInt16), 0, 200).With(Keys(nameof(Byte), 100, 200)).Labels.Count);
        Assert.ThrowsExactly<InvalidDataException>(Keys(nameof(Byte), 0, 300).Validate);
    }

    private IDataView Data(params string[] classes)
    {
        var rows = FashionMnistData.Rows("train", 600).Where(r => classes.Contains(r.Class)).ToArray();
        var view = _context.Data.LoadFromEnumerable(rows);
        var keys = _context.Data.LoadFromEnumerable(classes.Select(name => new FashionMnistData.Row { Class = name }));
        return _context.Transforms.Conversion.MapValueToKey(
            "Label", "Class", keyData: _context.Transforms.SelectColumns("Class").Fit(keys).Transform(keys))
            .Fit(view).Transform(view);
    }

    private FloodedImageClassificationTrainer Trainer(Action<FloodedImageClassificationTrainer.Options>? change = null) =>
        _context.Transforms.FloodedImageClassification(ShortRun.Options(o =>
        {
            o.Architecture = Architecture.Auto;
            change?.Invoke(o);
        }));
}
