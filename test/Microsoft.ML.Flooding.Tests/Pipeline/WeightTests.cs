using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;
using Options = Microsoft.ML.Flooding.FloodedImageClassificationTrainer.Options;

namespace Microsoft.ML.Flooding.Tests.Pipeline;

/// <summary>Example weights, class weights and sampling keys in complete training runs.</summary>
[TestClass]
public sealed class WeightTests
{
    private const int Count = 200;
    private readonly MLContext _context = new(seed: 1);
    private readonly List<LoggingEventArgs> _log = [];

    public WeightTests() => _context.Log += (_, e) => _log.Add(e);

    private static readonly FloodingObjective[] Family =
    [
        FloodingObjective.Flood, FloodingObjective.IndividualFlood, FloodingObjective.SoftAscentDescent(0.5),
        FloodingObjective.AdaFlood(folds: 2), FloodingObjective.ClassWise(),
    ];

    [TestMethod]
    public void Weights_that_are_all_one_give_the_bits_of_none()
    {
        foreach (var objective in Family)
        {
            var none = Weights(o => (o.Objective, o.FloodLevel) = (objective, 0.5f));
            CollectionAssert.AreEqual(
                none, Weights(o => (o.Objective, o.FloodLevel, o.ExampleWeightColumnName) = (objective, 0.5f, "One")), $"{objective}");
            CollectionAssert.AreNotEqual(
                none, Weights(o => (o.Objective, o.FloodLevel, o.ExampleWeightColumnName) = (objective, 0.5f, "Third")), $"{objective}");
            CollectionAssert.AreNotEqual(
                none, Weights(o => (o.Objective, o.FloodLevel, o.ClassWeights) = (objective, 0.5f, ClassWeights.Balanced)), $"{objective}");
        }
    }

    [TestMethod]
    public void Images_of_weight_zero_leave_no_trace()
    {
        var rows = Rows(Count);
        var without = _context.Data.FilterRowsByColumn(View(rows), "ZeroOrOne", lowerBound: 0.5);
        CollectionAssert.AreEqual(Weights(null, without), Weights(o => o.ExampleWeightColumnName = "ZeroOrOne"));
    }

    [TestMethod]
    public void The_figures_of_validation_are_weighted_means()
    {
        var validation = View([.. Rows(60)]);
        using var model = ShortRun.Fit(
            _context, View(Rows(Count)),
            o => (o.ValidationSet, o.ExampleWeightColumnName, o.WeightAveraging) = (validation, "Third", WeightAveraging.None));
        var labels = validation.GetColumn<uint>("Label").ToArray();
        var weights = validation.GetColumn<float>("Third").ToArray();
        var scores = model.Transform(validation).GetColumn<float[]>("Score").ToArray();
        var (loss, correct) = (0.0, 0.0);
        for (var i = 0; i < scores.Length; i++)
        {
            loss -= weights[i] * Math.Log(scores[i][labels[i] - 1]);
            correct += scores[i].Max() == scores[i][labels[i] - 1] ? weights[i] : 0;
        }
        Assert.AreEqual(loss / weights.Sum(), model.History.ValidationLoss!.Value, 1e-5);
        Assert.AreEqual(correct / weights.Sum(), model.History.ValidationAccuracy!.Value, 1e-6);
    }

    [TestMethod]
    public void The_flood_holds_the_weighted_loss_at_its_level()
    {
        using var model = ShortRun.Fit(_context, View(Rows(Count)), o =>
            (o.FloodLevel, o.Epochs, o.ExampleWeightColumnName, o.BatchSize) = (0.8f, 30, "Third", 16));
        var last = model.History.Epochs.TakeLast(10).ToArray();
        Assert.AreEqual(0.8, last.Average(e => e.TrainingLoss), 0.15);
        Assert.IsTrue(last.Average(e => e.FloodedShare) is > 0.2 and < 0.8);
    }

    [TestMethod]
    public void Weights_and_mixup_and_a_frozen_backbone_go_together()
    {
        using var model = ShortRun.Fit(_context, View(Rows(60)), o =>
        {
            (o.ExampleWeightColumnName, o.ClassWeights) = ("Third", ClassWeights.Balanced);
            (o.FreezeBackboneEpochs, o.FitTemperature) = (1, true);
            o.Augmentation = new Augmentation { MixupAlpha = 0.4 };
        });
        Assert.IsTrue(model.History.Epochs.All(e => double.IsFinite(e.TrainingLoss) && double.IsFinite(e.ValidationLoss!.Value)));
    }

    [TestMethod]
    public void A_checkpoint_of_other_weights_or_keys_is_refused()
    {
        var folder = Directory.CreateTempSubdirectory("flooding-weights-").FullName;
        try
        {
            using (ShortRun.Fit(_context, View(Rows(60)), o => (o.CheckpointDirectory, o.ExampleWeightColumnName) = (folder, "Third")))
            {
            }
            void Differs(string what, Action<Options> change)
            {
                var error = Assert.ThrowsExactly<InvalidOperationException>(() => ShortRun.Fit(_context, View(Rows(60)), o =>
                {
                    (o.CheckpointDirectory, o.ExampleWeightColumnName) = (folder, "Third");
                    change(o);
                }));
                StringAssert.Contains(error.Message, what);
            }
            Differs("weights of the training images", o => o.ExampleWeightColumnName = null);
            Differs("weights of the validation images", o => o.ClassWeights = ClassWeights.Balanced);
            Differs("groups of the training images", o => o.SamplingKeyColumnName = "Object");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    public void Images_of_one_object_are_on_one_side()
    {
        // Each object has two equal images. If the split separated them, the network would be validated on images that it was trained on.
        var rows = Rows(60);
        var doubled = View([.. rows.Concat(rows)]);
        CollectionAssert.AreNotEqual(Weights(null, doubled), Weights(o => o.SamplingKeyColumnName = "Id", doubled));
        using var model = ShortRun.Fit(_context, doubled, o => (o.SamplingKeyColumnName, o.ValidationSetFraction) = ("Id", 0.5));
        var trained = _log.Select(e => Regex.Match(e.Message, @"Training mlp-32 on (\d+) images").Groups[1].Value)
            .Last(text => text.Length > 0);
        Assert.AreEqual(60, int.Parse(trained, CultureInfo.InvariantCulture), 2);
    }

    [TestMethod]
    public void A_class_that_is_not_validated_is_a_warning()
    {
        var rows = Rows(Count);
        (rows[0].Class, rows[1].Class, rows[2].Class) = ("Rare", "Two", "Two");
        using (ShortRun.Fit(_context, ByValue(rows)))
            Assert.IsTrue(Says(ChannelMessageKind.Warning, "No image was set aside to validate 'Rare' (1 image)."));
        Assert.IsFalse(_log.Any(e => e.Message.Contains("'Two' (", StringComparison.Ordinal)));
        (rows[1].Object, rows[2].Object) = ("same", "same");
        using (ShortRun.Fit(_context, ByValue(rows), o => o.SamplingKeyColumnName = "Object"))
            Assert.IsTrue(_log.Any(e => e.Message.Contains("'Two' (2 images)", StringComparison.Ordinal)
                && e.Message.Contains("one value of 'Object'", StringComparison.Ordinal)));
    }

    [TestMethod]
    [DataRow("Missing", "The data has no column 'Missing' (ExampleWeightColumnName)")]
    [DataRow("Id", "The weight column 'Id' must be Single")]
    [DataRow("Label", "The weight column 'Label' must be Single")]
    [DataRow("Features", "The weight column 'Features' must be Single")]
    public void A_weight_column_that_is_none(string column, string message) =>
        AssertRefused<ArgumentException>(message, o => o.ExampleWeightColumnName = column);

    [TestMethod]
    [DataRow("Missing", "The data has no column 'Missing' (SamplingKeyColumnName)")]
    [DataRow("Date", "The sampling key column 'Date' must be text, a key, a number or Boolean")]
    public void A_sampling_key_that_is_none(string column, string message) =>
        AssertRefused<ArgumentException>(message, o => o.SamplingKeyColumnName = column);

    [TestMethod]
    public void A_validation_set_needs_the_weights_too()
    {
        var validation = _context.Transforms.DropColumns("Third").Fit(View(Rows(30))).Transform(View(Rows(30)));
        AssertRefused<ArgumentException>(
            "The validation set has no column 'Third'", o => (o.ValidationSet, o.ExampleWeightColumnName) = (validation, "Third"));
    }

    [TestMethod]
    public void Class_weights_that_leave_nothing()
    {
        var bags = _context.Data.FilterByCustomPredicate(View(Rows(60)), (WeightedRow row) => row.Class != "Bag");
        var weights = ClassWeights.Create(1, 1, 1, 1, 1, 1, 1, 1, 0, 1);
        AssertRefused<InvalidOperationException>(
            "Every image of the ValidationSet has weight 0", o => (o.ValidationSet, o.ClassWeights) = (bags, weights));
        var error = Assert.Throws<InvalidOperationException>(() => ShortRun.Fit(_context, bags, o => o.ClassWeights = weights));
        StringAssert.Contains(error.Message, "There are no images to train on, images of weight 0 left out");
    }

    [TestMethod]
    public void Class_weights_of_another_number_of_classes() =>
        AssertRefused<InvalidOperationException>(
            "ClassWeights has 2 weights, and the label column has 10 classes", o => o.ClassWeights = ClassWeights.Create(1, 2));

    private void AssertRefused<TException>(string message, Action<Options> change) where TException : Exception =>
        StringAssert.Contains(Assert.Throws<TException>(() => ShortRun.Fit(_context, View(Rows(60)), change)).Message, message);

    private bool Says(ChannelMessageKind kind, string text) =>
        _log.Any(e => e.Kind == kind && e.Message.Contains(text, StringComparison.Ordinal));

    private byte[] Weights(Action<Options>? change, IDataView? data = null)
    {
        data ??= View(Rows(Count));
        using var model = ShortRun.Fit(_context, data, change);
        return SavedModel.Weights(_context, model, data.Schema);
    }

    private static WeightedRow[] Rows(int count) =>
    [
        .. FashionMnistData.Rows("train", count).Select((row, i) => new WeightedRow
        {
            Features = row.Features,
            Class = row.Class,
            Id = row.Id,
            One = 1,
            Third = (1 + (i % 7)) / 3f,
            ZeroOrOne = i % 4 == 0 ? 0 : 1,
            Object = $"{row.Class} {i / 20}",
        }),
    ];

    /// <summary>The keys of all ten classes, whichever the rows contain.</summary>
    private IDataView View(WeightedRow[] rows)
    {
        var labels = FashionMnistData.Train(_context, 1);
        var keys = default(VBuffer<ReadOnlyMemory<char>>);
        labels.Schema["Label"].GetKeyValues(ref keys);
        var names = _context.Data.LoadFromEnumerable(keys.DenseValues().Select(k => new Name { Class = $"{k}" }));
        return Keyed(rows, _context.Transforms.Conversion.MapValueToKey("Label", "Class", keyData: names));
    }

    private IDataView ByValue(WeightedRow[] rows) => Keyed(rows, _context.Transforms.Conversion.MapValueToKey("Label", "Class"));

    private IDataView Keyed(WeightedRow[] rows, ValueToKeyMappingEstimator map)
    {
        var data = _context.Data.LoadFromEnumerable(rows);
        return map.Fit(data).Transform(data);
    }

    private sealed class Name
    {
        public string Class { get; set; } = "";
    }

    private sealed class WeightedRow
    {
        [VectorType(784)]
        public float[] Features { get; set; } = [];

        public string Class { get; set; } = "";

        public int Id { get; set; }

        public float One { get; set; }

        public float Third { get; set; }

        public float ZeroOrOne { get; set; }

        public string Object { get; set; } = "";

        public DateTime Date { get; set; }
    }
}
