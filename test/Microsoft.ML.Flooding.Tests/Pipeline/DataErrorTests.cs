using Microsoft.ML.Data;
using Microsoft.ML.Transforms;
using Options = Microsoft.ML.Flooding.FloodedImageClassificationTrainer.Options;

namespace Microsoft.ML.Flooding.Tests.Pipeline;

/// <summary>Data that cannot be trained on or scored: each error names the column and the remedy.</summary>
[TestClass]
public sealed class DataErrorTests
{
    private readonly MLContext _context = new(seed: 1);

    [TestMethod]
    public void A_missing_label_column() => AssertRefused<ArgumentException>(
        Data(), o => o.LabelColumnName = "Truth", "no column 'Truth'", "LabelColumnName", "Features, Class, Id, Label");

    [TestMethod]
    public void A_missing_image_column() => AssertRefused<ArgumentException>(
        Data(), o => o.FeatureColumnName = "Image", "no column 'Image'", "FeatureColumnName", "Features, Class, Id, Label");

    [TestMethod]
    public void A_label_that_is_no_key() => AssertRefused<ArgumentException>(
        Data(), o => o.LabelColumnName = "Class", "'Class' must be a key", "MapValueToKey(\"Class\")");

    [TestMethod]
    public void An_image_column_of_another_type() => AssertRefused<ArgumentException>(
        Data(), o => o.FeatureColumnName = "Id", "'Id' is", "Vector<Single>", "LoadRawImageBytes", "LoadImages");

    [TestMethod]
    public void Floats_of_unknown_number()
    {
        var data = _context.Data.LoadFromEnumerable(new[] { new Ragged { Features = [1, 2], Class = "a" } });
        AssertRefused<ArgumentException>(WithLabel(data), null, "'Features' is", "known-size Vector<Single>");
    }

    [TestMethod]
    public void A_vector_that_is_no_square() => AssertRefused<ArgumentException>(
        Vectors(6), null, "'Features' has 6 values", "set ImageWidth and ImageHeight");

    [TestMethod]
    public void A_size_that_does_not_fit_the_vector() => AssertRefused<ArgumentException>(
        Vectors(6), o => (o.ImageWidth, o.ImageHeight) = (4, 4), "'Features' has 6 values", "ImageWidth x ImageHeight = 4 x 4");

    [TestMethod]
    public void No_rows() => AssertRefused<InvalidOperationException>(_context.Data.SkipRows(Data(), 1000), null, "no rows");

    [TestMethod]
    public void A_single_row() =>
        AssertRefused<InvalidOperationException>(_context.Data.TakeRows(Data(), 1), null, "1 image", "at least 2");

    [TestMethod]
    public void Early_stopping_without_validation() => AssertRefused<InvalidOperationException>(
        Data(), o => (o.EarlyStopping, o.ValidationSetFraction) = (new EarlyStopping(), null),
        "EarlyStopping", "ValidationSet", "ValidationSetFraction");

    [TestMethod]
    public void A_validation_set_with_other_keys()
    {
        var validation = WithLabel(_context.Data.LoadFromEnumerable(FashionMnistData.Rows("t10k", 30)));
        AssertRefused<ArgumentException>(
            Data(), o => o.ValidationSet = validation, "'Label' of the validation set", "same fitted MapValueToKey");
    }

    [TestMethod]
    [DataRow("Label")]
    [DataRow("Features")]
    public void A_validation_set_without_a_column(string column)
    {
        var validation = _context.Transforms.DropColumns(column).Fit(Data()).Transform(Data());
        AssertRefused<ArgumentException>(Data(), o => o.ValidationSet = validation, $"validation set has no column '{column}'");
    }

    [TestMethod]
    public void A_validation_set_of_images_of_another_size()
    {
        var validation = WithKeysOf(Data(), Vectors(9));
        AssertRefused<ArgumentException>(Data(), o => o.ValidationSet = validation, "'Features' has 9 values", "28 x 28 x 1");
    }

    [TestMethod]
    public void An_image_that_cannot_be_read()
    {
        using var files = new ImageFiles(10);
        File.WriteAllText(files.PathOf(files.Rows[4]), "no image");
        AssertRefused<InvalidOperationException>(Encoded(files), null, "'Features', row 4", files.Rows[4].ImagePath, "cannot be read");
    }

    [TestMethod]
    public void An_image_that_cannot_be_scored()
    {
        using var files = new ImageFiles(10);
        using var model = ShortRun.Fit(_context, Encoded(files));
        File.WriteAllText(files.PathOf(files.Rows[4]), "no image");
        var scored = model.Transform(Encoded(files));
        var error = Assert.Throws<Exception>(() => scored.GetColumn<float[]>("Score").ToArray());
        StringAssert.Contains(error.Message, $"'Features', row 4 (ImagePath = '{files.Rows[4].ImagePath}'");
        StringAssert.Contains(error.Message, "cannot be read");
        using var engine = _context.Model.CreatePredictionEngine<ImageFiles.Row, FashionMnistData.Prediction>(
            Loading(files).Fit(_context.Data.LoadFromEnumerable(files.Rows)).Append(model),
            new PredictionEngineOptions { OwnsTransformer = false });
        var alone = Assert.Throws<Exception>(() => engine.Predict(files.Rows[4])).GetBaseException();
        StringAssert.Contains(alone.Message, $"the row to predict (ImagePath = '{files.Rows[4].ImagePath}'");
    }

    [TestMethod]
    public void Images_that_a_cache_has_taken_away()
    {
        using var files = new ImageFiles(10);
        var rows = _context.Data.LoadFromEnumerable(files.Rows);
        var images = _context.Transforms.LoadImages("Features", files.Folder, "ImagePath").Fit(rows).Transform(rows);
        string[] parts =
        [
            "no column 'Features'", "ImagePath", "AppendCacheCheckpoint or Data.Cache", "MLImage", "Remove the cache", "LoadRawImageBytes",
        ];
        AssertRefused<ArgumentException>(WithLabel(_context.Data.Cache(images)), null, parts);
        AssertRefused<ArgumentException>(WithLabel(images), o => o.ValidationSet = WithLabel(_context.Data.Cache(images)), parts);
        using var model = ShortRun.Fit(_context, WithLabel(images));
        Named(parts, () => model.Transform(_context.Data.Cache(images)));
        Named(parts, () => model.LossLandscape(_context.Data.Cache(images)));
        var checkpoint = _context.Transforms.Conversion.MapValueToKey("Label", "Class")
            .Append(_context.Transforms.LoadImages("Features", files.Folder, "ImagePath")).AppendCacheCheckpoint(_context)
            .Append(_context.Transforms.FloodedImageClassification(ShortRun.Options()));
        Named(parts, () => checkpoint.Fit(rows));

        static void Named(string[] parts, Action use)
        {
            var error = Assert.Throws<ArgumentException>(use);
            foreach (var part in parts)
                StringAssert.Contains(error.Message, part);
        }
    }

    [TestMethod]
    public void Images_that_are_skipped_are_listed_and_logged()
    {
        using var files = new ImageFiles(30);
        File.WriteAllText(files.PathOf(files.Rows[4]), "no image");
        File.WriteAllBytes(files.PathOf(files.Rows[7]), []);
        var log = new List<string>();
        _context.Log += (_, e) => log.Add(e.Message);
        using var model = ShortRun.Fit(
            _context, Encoded(files), o => (o.OnInvalidImage, o.ValidationSet) = (OnInvalidImage.Skip, Encoded(files)));

        var skipped = model.History.SkippedImages;
        CollectionAssert.AreEqual(new long[] { 4, 7, 4, 7 }, skipped.Select(image => image.Row).ToArray());
        CollectionAssert.AreEqual(new[] { false, false, true, true }, skipped.Select(image => image.IsInValidationSet).ToArray());
        Assert.AreEqual(files.Rows[4].ImagePath, skipped[0].Texts["ImagePath"]);
        StringAssert.Contains(skipped[0].Reason, "not a JPEG");
        StringAssert.Contains(skipped[1].Reason, "empty");
        StringAssert.StartsWith($"{skipped[1]}", $"row 7 (ImagePath = '{files.Rows[7].ImagePath}'");
        StringAssert.StartsWith($"{skipped[3]}", "validation set, row 7 (ImagePath");
        var summary = $"2 of 30 images cannot be read and are left out. The first one: {skipped[0]}";
        Assert.IsTrue(log.Exists(line => line.Contains(summary, StringComparison.Ordinal)));
        Assert.IsTrue(log.Exists(line => line.Contains($"Left out: {skipped[1]}", StringComparison.Ordinal)));
        var loaded = (FloodedImageClassificationTransformer)SavedModel.Load(SavedModel.Save(_context, model, Encoded(files).Schema));
        Assert.IsEmpty(loaded.History.SkippedImages);
        loaded.Dispose();
    }

    [TestMethod]
    public void A_search_lists_the_images_that_are_skipped()
    {
        using var files = new ImageFiles(30);
        File.WriteAllText(files.PathOf(files.Rows[4]), "no image");
        using var model = ShortRun.Fit(
            _context, Encoded(files), o => (o.OnInvalidImage, o.FloodLevels) = (OnInvalidImage.Skip, FloodLevels.Create(0.1f)));
        Assert.AreEqual(4, model.History.SkippedImages.Single().Row);
    }

    [TestMethod]
    public void A_missing_column_at_scoring()
    {
        var data = Data();
        using var model = ShortRun.Fit(_context, data);
        var without = _context.Transforms.DropColumns("Features").Fit(data).Transform(data);
        Action[] uses =
        [
            () => model.Transform(without), () => model.GetOutputSchema(without.Schema),
            () => ((ITransformer)model).GetRowToRowMapper(without.Schema),
        ];
        foreach (var use in uses)
        {
            var error = Assert.Throws<ArgumentException>(use);
            StringAssert.Contains(error.Message, "no column 'Features'");
            StringAssert.Contains(error.Message, "Class, Id, Label");
        }
    }

    [TestMethod]
    public void An_image_column_of_another_type_at_scoring()
    {
        var data = Data();
        using var model = ShortRun.Fit(_context, data);
        var other = _context.Transforms.CopyColumns("Features", "Id").Fit(data).Transform(data);
        var error = Assert.Throws<ArgumentException>(() => model.Transform(other));
        StringAssert.Contains(error.Message, "'Features' is");
    }

    [TestMethod]
    public void Vectors_of_another_size_at_scoring()
    {
        using var model = ShortRun.Fit(_context, Data());
        var error = Assert.Throws<ArgumentException>(() => model.Transform(Vectors(9)).GetColumn<float[]>("Score").ToArray());
        StringAssert.Contains(error.Message, "'Features' has 9 values");
        StringAssert.Contains(error.Message, "28 x 28 x 1");
    }

    [TestMethod]
    public void The_schema_is_checked_before_any_row_is_read()
    {
        var data = new WatchedView(Data());
        Assert.Throws<ArgumentException>(() => ShortRun.Fit(_context, data, o => o.LabelColumnName = "Class"));
        Assert.AreEqual(0, data.Cursors);
    }

    private void AssertRefused<TException>(IDataView data, Action<Options>? change, params string[] parts) where TException : Exception
    {
        var error = Assert.Throws<TException>(() => ShortRun.Fit(_context, data, change));
        foreach (var part in parts)
            StringAssert.Contains(error.Message, part);
    }

    private IDataView Data() => FashionMnistData.Train(_context, 60);

    private IDataView Vectors(int size)
    {
        var schema = SchemaDefinition.Create(typeof(Ragged));
        schema["Features"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, size);
        var rows = Enumerable.Range(0, 20).Select(i => new Ragged
        {
            Features = [.. Enumerable.Range(i, size).Select(v => (float)v)],
            Class = i < 10 ? "Bag" : "Boot",
        });
        return WithLabel(_context.Data.LoadFromEnumerable(rows, schema));
    }

    private IDataView WithLabel(IDataView data) => _context.Transforms.Conversion.MapValueToKey("Label", "Class").Fit(data).Transform(data);

    private IDataView WithKeysOf(IDataView labelled, IDataView data)
    {
        var keys = default(VBuffer<ReadOnlyMemory<char>>);
        labelled.Schema["Label"].GetKeyValues(ref keys);
        var values = _context.Data.LoadFromEnumerable(keys.DenseValues().Select(k => new Key { Class = k.ToString() }));
        return _context.Transforms.Conversion.MapValueToKey("Label", "Class", keyData: values).Fit(data).Transform(data);
    }

    private IDataView Encoded(ImageFiles files)
    {
        var rows = _context.Data.LoadFromEnumerable(files.Rows);
        return Loading(files).Fit(rows).Transform(rows);
    }

    private EstimatorChain<ValueToKeyMappingTransformer> Loading(ImageFiles files) =>
        _context.Transforms.LoadRawImageBytes("Features", files.Folder, "ImagePath")
            .Append(_context.Transforms.Conversion.MapValueToKey("Label", "Class"));

    private sealed class Ragged
    {
        public float[] Features { get; set; } = [];

        public string Class { get; set; } = "";
    }

    private sealed class Key
    {
        public string Class { get; set; } = "";
    }
}
