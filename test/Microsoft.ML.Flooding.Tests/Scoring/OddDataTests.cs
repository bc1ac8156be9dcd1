using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.Flooding.Tests.Scoring;

/// <summary>Unusual data: it works, or an error says what is wrong.</summary>
[TestClass]
public sealed class OddDataTests
{
    private readonly MLContext _context = new(seed: 1);

    [TestMethod]
    public void No_rows_to_train_on_is_an_error_and_no_rows_to_score_give_none()
    {
        var error = Assert.Throws<Exception>(() => Fit(Data<string>([])));
        StringAssert.Contains(error.Message, "no rows", StringComparison.Ordinal);

        using var model = RandomModel.Create(_context, Architecture.Mlp.WithHiddenSizes(6), new ImageShape(8, 8, 3));
        Assert.IsEmpty(model.Transform(_context.Data.LoadFromEnumerable<PixelRow>([])).GetColumn<float[]>("Score").ToArray());
    }

    [TestMethod]
    public void One_class_is_learned_with_certainty()
    {
        using var model = Fit(Data(["a", "a", "a"]));
        foreach (var score in model.Transform(Data(["a", "a", "a"])).GetColumn<float[]>("Score"))
            CollectionAssert.AreEqual(new[] { 1f }, score);
    }

    [TestMethod]
    [DataRow(2, 64)]
    [DataRow(3, 2)]
    [DataRow(5, 4)]
    [DataRow(9, 8)]
    public void A_row_a_class_and_batches_of_one_left_over_train_with_batch_norm(int rows, int batchSize)
    {
        var data = Data([.. Enumerable.Range(0, rows).Select(i => $"class {i}")]);
        using var model = Fit(data, options => options.BatchSize = batchSize);
        var scores = model.Transform(data).GetColumn<float[]>("Score").ToArray();
        Assert.IsTrue(scores.All(score => score.Length == rows && Math.Abs(score.Sum() - 1) < 1e-4));
    }

    [TestMethod]
    public void Batches_of_one_are_refused_where_batch_norm_would_divide_by_zero_and_train_elsewhere()
    {
        var data = Data(["a", "b"]);
        var error = Assert.ThrowsExactly<ArgumentException>(() => Fit(data, options => options.BatchSize = 1));
        StringAssert.Contains(error.Message, "BatchSize", StringComparison.Ordinal);

        using var convolutional = Fit(
            data, options => (options.BatchSize, options.Architecture) = (1, Architecture.ConvNet.WithBaseWidth(4)));
        foreach (var score in convolutional.Transform(data).GetColumn<float[]>("Score"))
            Assert.AreEqual(1, score.Sum(), 1e-4);
    }

    [TestMethod]
    public void A_missing_label_is_named_by_its_row()
    {
        var keys = _context.Data.LoadFromEnumerable(new[] { new LabelRow<string> { Class = "a" } });
        var data = _context.Transforms.Conversion.MapValueToKey(
            "Label", "Class", keyData: _context.Transforms.SelectColumns("Class").Fit(keys).Transform(keys))
            .Fit(Raw(["a", "b", "a"])).Transform(Raw(["a", "b", "a"]));

        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Fit(data));

        StringAssert.Contains(error.Message, "row 1", StringComparison.Ordinal);
        StringAssert.Contains(error.Message, "label is missing", StringComparison.Ordinal);
    }

    [TestMethod]
    public void A_class_absent_from_the_validation_part_does_no_harm()
    {
        var data = Data(["a", "b", "c", "a", "b", "c"]);
        var validation = _context.Data.FilterByCustomPredicate<LabelRow<string>>(data, row => row.Class == "c");
        using var model = Fit(data, options => options.ValidationSet = validation);
        Assert.IsTrue(model.History.Epochs.All(epoch => epoch.ValidationLoss is > 0));
    }

    [TestMethod]
    public void Labels_of_every_type_come_back()
    {
        AssertComesBack<string>(["yes", "no", "with space"]);
        AssertComesBack<int>([3, -1, 7]);
        AssertComesBack<bool>([true, false, true]);
        AssertComesBack<float>([0.5f, -2, 1e10f]);
        AssertComesBack<double>([0.1, 0.2, 0.3]);
    }

    [TestMethod]
    public void Columns_may_have_spaces()
    {
        var data = _context.Transforms.CopyColumns("the picture", "Features").Append(_context.Transforms.CopyColumns("its label", "Label"))
            .Fit(Data(["a", "b"])).Transform(Data(["a", "b"]));
        using var model = Fit(data, options =>
        {
            (options.FeatureColumnName, options.LabelColumnName) = ("the picture", "its label");
            (options.ScoreColumnName, options.PredictedLabelColumnName) = ("how sure", "what it is");
        });

        var scored = model.Transform(data);

        Assert.HasCount(2, scored.GetColumn<float[]>("how sure").ToArray());
        Assert.HasCount(2, scored.GetColumn<uint>("what it is").ToArray());
    }

    [TestMethod]
    public void Duplicate_columns_are_hidden_by_the_last_and_scores_may_be_added_twice()
    {
        using var model = RandomModel.Create(_context, Architecture.Mlp.WithHiddenSizes(6), new ImageShape(8, 8, 3));
        var rows = PixelRow.Draw(20);
        var once = model.Transform(_context.Data.LoadFromEnumerable(rows));

        var twice = model.Transform(once);

        Assert.AreEqual(2, twice.Schema.Count(column => column.Name == "Score"));
        Assert.IsTrue(twice.Schema.First(column => column.Name == "Score").IsHidden);
        foreach (var (first, second) in once.GetColumn<float[]>("Score").Zip(twice.GetColumn<float[]>("Score")))
            CollectionAssert.AreEqual(first, second);
    }

    [TestMethod]
    public void Ten_thousand_classes_are_scored_saved_and_loaded()
    {
        using var model = RandomModel.Create(_context, Architecture.Mlp.WithHiddenSizes(8), new ImageShape(8, 8, 3), classes: 10_000);
        using var stream = new MemoryStream();
        _context.Model.Save(model, null, stream);
        stream.Position = 0;
        var data = _context.Data.LoadFromEnumerable(PixelRow.Draw(40));

        var scores = _context.Model.Load(stream, out var _).Transform(data).GetColumn<float[]>("Score").ToArray();

        Assert.IsTrue(scores.All(score => score.Length == 10_000 && Math.Abs(score.Sum() - 1) < 1e-3));
    }

    [TestMethod]
    public void Features_of_another_type_are_scored_alike_and_of_another_size_refused()
    {
        using var model = RandomModel.Create(_context, Architecture.Mlp.WithHiddenSizes(6), new ImageShape(8, 8, 3));
        var rows = PixelRow.Draw(5);
        var bytes = _context.Data.LoadFromEnumerable(rows);
        var floats = _context.Data.LoadFromEnumerable(
            rows.Select(row => new HostileImageTests.FloatRow { Features = Array.ConvertAll(row.Features, b => (float)b) }));
        var small = _context.Data.LoadFromEnumerable(new[] { new SmallRow() });
        var text = _context.Data.LoadFromEnumerable(new[] { new TextRow() });

        var (ofBytes, ofFloats) = (model.Transform(bytes), model.Transform(floats));
        foreach (var (first, second) in ofBytes.GetColumn<float[]>("Score").Zip(ofFloats.GetColumn<float[]>("Score")))
            OneRowScorer.AssertNear(first, second);
        var size = Assert.ThrowsExactly<ArgumentException>(() => _ = model.Transform(small).GetColumn<float[]>("Score").Count());
        var type = Assert.ThrowsExactly<ArgumentException>(() => model.Transform(text));
        var missing = Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => model.Transform(_context.Data.LoadFromEnumerable(new[] { new ImagePrediction() })));

        StringAssert.Contains(size.Message, "192", StringComparison.Ordinal);
        StringAssert.Contains(type.Message, "'Features'", StringComparison.Ordinal);
        StringAssert.Contains(missing.Message, "Its columns", StringComparison.Ordinal);
    }

    private void AssertComesBack<T>(T[] labels)
    {
        var data = Data(labels);
        using var model = Fit(data);
        var scored = _context.Transforms.Conversion.MapKeyToValue("Predicted", "PredictedLabel")
            .Fit(model.Transform(data)).Transform(model.Transform(data));
        Assert.IsTrue(scored.GetColumn<T>("Predicted").All(labels.Contains));
    }

    private IDataView Raw<T>(T[] labels)
    {
        var pixels = PixelRow.Draw(labels.Length);
        return _context.Data.LoadFromEnumerable(
            labels.Select((label, i) => new LabelRow<T> { Class = label, Features = pixels[i].Features }));
    }

    private IDataView Data<T>(T[] labels) =>
        _context.Transforms.Conversion.MapValueToKey(
            "Label", "Class", keyOrdinality: ValueToKeyMappingEstimator.KeyOrdinality.ByValue, addKeyValueAnnotationsAsText: false)
            .Fit(Raw(labels)).Transform(Raw(labels));

    private FloodedImageClassificationTransformer Fit(IDataView data, Action<FloodedImageClassificationTrainer.Options>? change = null)
    {
        var options = new FloodedImageClassificationTrainer.Options
        {
            Epochs = 2,
            Architecture = Architecture.Mlp.WithHiddenSizes(6),
            ValidationSetFraction = null,
        };
        change?.Invoke(options);
        return _context.Transforms.FloodedImageClassification(options).Fit(data);
    }

    public sealed class LabelRow<T>
    {
        [VectorType(8, 8, 3)]
        public byte[] Features { get; set; } = new byte[PixelRow.Length];

        public T Class { get; set; } = default!;
    }

    public sealed class SmallRow
    {
        [VectorType(10)]
        public byte[] Features { get; set; } = new byte[10];
    }

    public sealed class TextRow
    {
        public string Features { get; set; } = "";
    }
}
