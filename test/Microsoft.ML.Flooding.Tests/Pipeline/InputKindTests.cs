using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;
using SkiaSharp;
using Options = Microsoft.ML.Flooding.FloodedImageClassificationTrainer.Options;

namespace Microsoft.ML.Flooding.Tests.Pipeline;

/// <summary>Every kind of image input: trained on, transformed, and predicted one at a time.</summary>
[TestClass]
public sealed class InputKindTests
{
    private const int Count = 240;
    private readonly MLContext _context = new(seed: 1);

    [TestMethod]
    [DataRow(SKEncodedImageFormat.Png, false)]
    [DataRow(SKEncodedImageFormat.Jpeg, true)]
    public void Files_loaded_as_MLImages(SKEncodedImageFormat format, bool isTinted)
    {
        using var files = new ImageFiles(Count, format, isTinted);
        using var model = Fit(files.Rows, _context.Transforms.LoadImages("Features", files.Folder, nameof(ImageFiles.Row.ImagePath)));
        AssertShape(model, 28, 28, 3);
        AssertLearnedAndPredicts(model, files.Rows);
    }

    [TestMethod]
    [DataRow(SKEncodedImageFormat.Png, true)]
    [DataRow(SKEncodedImageFormat.Jpeg, false)]
    public void Files_loaded_as_raw_bytes(SKEncodedImageFormat format, bool isTinted)
    {
        using var files = new ImageFiles(Count, format, isTinted);
        using var model = Fit(
            files.Rows, _context.Transforms.LoadRawImageBytes("Features", files.Folder, nameof(ImageFiles.Row.ImagePath)));
        AssertShape(model, 28, 28, 3);
        AssertLearnedAndPredicts(model, files.Rows);
    }

    [TestMethod]
    public void Files_of_different_sizes_are_brought_to_the_size_asked_for()
    {
        using var files = new ImageFiles(Count, marginOf: i => i % 4);
        using var model = Fit(files.Rows, _context.Transforms.LoadRawImageBytes("Features", files.Folder, nameof(ImageFiles.Row.ImagePath)),
            o => (o.ImageWidth, o.ImageHeight) = (20, 24));
        AssertShape(model, 24, 20, 3);
        AssertLearnedAndPredicts(model, files.Rows);
    }

    [TestMethod]
    public void MLImages_in_memory()
    {
        var rows = FashionMnistData.Rows("train", Count).Select(row => new BitmapRow
        {
            Features = MLImage.CreateFromPixels(
                28, 28, MLPixelFormat.Rgba32, [.. row.Features.SelectMany(v => new[] { (byte)v, (byte)v, (byte)v, (byte)255 })]),
            Class = row.Class,
        }).ToArray();
        using var model = Fit(rows);
        AssertShape(model, 28, 28, 3);
        AssertLearnedAndPredicts(model, rows);
        foreach (var row in rows)
            row.Features!.Dispose();
    }

    [TestMethod]
    public void Vectors_of_floats()
    {
        var rows = FashionMnistData.Rows("train", Count);
        using var model = Fit(rows);
        AssertShape(model, 28, 28, 1);
        AssertLearnedAndPredicts(model, rows);
    }

    [TestMethod]
    public void Vectors_of_bytes()
    {
        var rows = ByteRows();
        using var model = Fit(rows);
        AssertShape(model, 28, 28, 1);
        AssertLearnedAndPredicts(model, rows);
    }

    [TestMethod]
    public void Vectors_of_rectangular_images_in_the_size_that_is_given()
    {
        var rows = ByteRows();
        using var model = Fit(rows, change: o => (o.ImageWidth, o.ImageHeight) = (56, 14));
        AssertShape(model, 14, 56, 1);
        AssertLearnedAndPredicts(model, rows);
    }

    [TestMethod]
    public void Bytes_and_floats_of_the_same_pixels_give_the_same_weights()
    {
        var bytes = ByteRows();
        var floats = FashionMnistData.Rows("train", Count);
        using var ofBytes = Fit(bytes);
        using var ofFloats = Fit(floats);
        CollectionAssert.AreEqual(
            SavedModel.Weights(_context, ofBytes, View(bytes).Schema), SavedModel.Weights(_context, ofFloats, View(floats).Schema));
    }

    [TestMethod]
    public void Alpha_is_dropped()
    {
        using var opaque = new ImageFiles(Count, isTinted: true);
        using var translucent = new ImageFiles(Count, isTinted: true, alpha: 100);
        using var model = ShortRun.Fit(_context, Bytes(opaque));
        var expected = model.Transform(Bytes(opaque)).GetColumn<float[]>("Score").ToArray();
        var actual = model.Transform(Bytes(translucent)).GetColumn<float[]>("Score").ToArray();
        for (var i = 0; i < Count; i++)
            CollectionAssert.AreEqual(expected[i], actual[i]);

        IDataView Bytes(ImageFiles files)
        {
            var rows = View(files.Rows);
            return _context.Transforms.LoadRawImageBytes("Features", files.Folder, nameof(ImageFiles.Row.ImagePath))
                .Append(_context.Transforms.Conversion.MapValueToKey("Label", "Class")).Fit(rows).Transform(rows);
        }
    }

    private static ByteRow[] ByteRows() =>
        [.. FashionMnistData.Rows("train", Count)
            .Select(row => new ByteRow { Features = Array.ConvertAll(row.Features, v => (byte)v), Class = row.Class })];

    private IDataView View<TRow>(IEnumerable<TRow> rows) where TRow : class => _context.Data.LoadFromEnumerable(rows);

    private TransformerChain<FloodedImageClassificationTransformer> Fit<TRow>(
        IEnumerable<TRow> rows, IEstimator<ITransformer>? loading = null, Action<Options>? change = null) where TRow : class
    {
        var trainer = _context.Transforms.FloodedImageClassification(ShortRun.Options(o =>
        {
            o.Epochs = 10;
            o.BatchSize = 16;
            change?.Invoke(o);
        }));
        var labels = _context.Transforms.Conversion.MapValueToKey("Label", "Class");
        return (loading is null ? labels.Append(trainer) : labels.Append(loading).Append(trainer)).Fit(View(rows));
    }

    private static void AssertShape(TransformerChain<FloodedImageClassificationTransformer> model, int height, int width, int channels)
    {
        var trained = model.LastTransformer;
        Assert.AreEqual((height, width, channels), (trained.ImageHeight, trained.ImageWidth, trained.Channels));
    }

    private void AssertLearnedAndPredicts<TRow>(
        TransformerChain<FloodedImageClassificationTransformer> model, IReadOnlyList<TRow> rows) where TRow : class
    {
        var scored = model.Transform(View(rows));
        var metrics = _context.MulticlassClassification.Evaluate(scored);
        Assert.IsGreaterThan(0.5, metrics.MicroAccuracy, "ten classes: a tenth is chance");

        var scores = scored.GetColumn<float[]>("Score").Take(5).ToArray();
        var labels = scored.GetColumn<uint>("PredictedLabel").Take(5).ToArray();
        using var engine = _context.Model.CreatePredictionEngine<TRow, Prediction>(model);
        for (var i = 0; i < scores.Length; i++)
        {
            var prediction = engine.Predict(rows[i]);
            Assert.AreEqual(labels[i], prediction.PredictedLabel);
            for (var c = 0; c < scores[i].Length; c++)
                Assert.AreEqual(scores[i][c], prediction.Score[c], 1e-5f);
        }
    }

    private sealed class ByteRow
    {
        [VectorType(784)]
        public byte[] Features { get; set; } = new byte[784];

        public string Class { get; set; } = "";
    }

    private sealed class BitmapRow
    {
        [ImageType(28, 28)]
        public MLImage? Features { get; set; }

        public string Class { get; set; } = "";
    }

    private sealed class Prediction
    {
        public uint PredictedLabel { get; set; }

        public float[] Score { get; set; } = [];
    }
}
