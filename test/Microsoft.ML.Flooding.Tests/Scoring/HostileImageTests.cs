using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Tests.Scoring;

/// <summary>Files from untrusted users, scored one by one and in batches.</summary>
[TestClass]
public sealed class HostileImageTests
{
    private readonly MLContext _context = new();

    public static IEnumerable<object[]> Readable => HostileImages.Readable.Select(pair => new object[] { pair.Key });

    public static IEnumerable<object[]> Unreadable => HostileImages.Unreadable.Select(pair => new object[] { pair.Key });

    [TestMethod]
    [DynamicData(nameof(Readable))]
    public void Odd_but_valid_files_are_scored(string name)
    {
        using var model = CreateModel(OnInvalidImage.Throw);
        var score = Score(model, [HostileImages.Readable[name]])[0];

        Assert.AreEqual(1, score.Score.Sum(), 1e-4);
        Assert.IsGreaterThan(0u, score.PredictedLabel);
    }

    [TestMethod]
    [DynamicData(nameof(Unreadable))]
    public void Broken_files_are_named_or_skipped(string name)
    {
        var file = HostileImages.Unreadable[name];
        var good = HostileImages.Readable["png"];
        using var throwing = CreateModel(OnInvalidImage.Throw);
        using var skipping = CreateModel(OnInvalidImage.Skip);

        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Score(throwing, [good, file, good]));
        var scores = Score(skipping, [good, file, good]);
        using var engine = _context.Model.CreatePredictionEngine<FileRow, ImagePrediction>(
            skipping, new PredictionEngineOptions { OwnsTransformer = false });
        var alone = engine.Predict(new FileRow { Features = file });
        var after = engine.Predict(new FileRow { Features = good });

        StringAssert.Contains(error.Message, "'Features', row 1", StringComparison.Ordinal);
        Assert.IsTrue(scores[1].Score.All(float.IsNaN));
        Assert.AreEqual(0u, scores[1].PredictedLabel);
        Assert.IsTrue(alone.Score.All(float.IsNaN));
        Assert.AreEqual(0u, alone.PredictedLabel);
        OneRowScorer.AssertNear(Score(throwing, [good])[0].Score, scores[2].Score);
        OneRowScorer.AssertNear(scores[0].Score, scores[2].Score);
        OneRowScorer.AssertNear(scores[0].Score, after.Score);
    }

    [TestMethod]
    public void A_bomb_is_refused_by_its_header_without_taking_memory()
    {
        using var model = CreateModel(OnInvalidImage.Throw);
        var bomb = HostileImages.Unreadable["bomb"];
        var before = Environment.WorkingSet;

        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Score(model, [bomb]));

        StringAssert.Contains(error.Message, "MaxPixels", StringComparison.Ordinal);
        Assert.IsLessThan(200_000_000, Environment.WorkingSet - before);
    }

    [TestMethod]
    public void The_pixel_limit_is_the_models_own_and_is_saved_with_it()
    {
        var file = HostileImages.Readable["png"];
        using var model = RandomModel.Create(
            _context, Architecture.Mlp.WithHiddenSizes(8), new ImageShape(8, 8, 3),
            d => d with { MaxPixels = 100, OnInvalidImage = OnInvalidImage.Skip });
        using var stream = new MemoryStream();
        _context.Model.Save(model, null, stream);
        stream.Position = 0;
        var loaded = _context.Model.Load(stream, out var _);

        Assert.IsTrue(Score(model, [file])[0].Score.All(float.IsNaN));
        Assert.IsTrue(Score(loaded, [file])[0].Score.All(float.IsNaN));
        Assert.AreEqual(OnInvalidImage.Skip, ((FloodedImageClassificationTransformer)loaded).OnInvalidImage);
    }

    [TestMethod]
    [DataRow(float.NaN)]
    [DataRow(float.PositiveInfinity)]
    public void Pixels_that_are_no_numbers_are_invalid(float value)
    {
        var rows = new[] { new FloatRow(), new FloatRow(), new FloatRow() };
        rows[1].Features[77] = value;
        var data = _context.Data.LoadFromEnumerable(rows);
        using var throwing = CreateModel(OnInvalidImage.Throw);
        using var skipping = CreateModel(OnInvalidImage.Skip);

        var error = Assert.ThrowsExactly<InvalidOperationException>(() => _ = throwing.Transform(data).GetColumn<float[]>("Score").Count());
        var scores = skipping.Transform(data).GetColumn<float[]>("Score").ToArray();

        StringAssert.Contains(error.Message, "row 1", StringComparison.Ordinal);
        CollectionAssert.AreEqual(new[] { false, true, false }, scores.Select(score => score.All(float.IsNaN)).ToArray());
    }

    [TestMethod]
    public void Mutations_of_valid_files_are_scored_or_refused()
    {
        var cases = Fuzzing.Cases;
        var random = new Random(Fuzzing.Seed);
        using var model = CreateModel(OnInvalidImage.Skip);
        using var engine = _context.Model.CreatePredictionEngine<FileRow, ImagePrediction>(
            model, new PredictionEngineOptions { OwnsTransformer = false });
        var seeds = HostileImages.Readable.Where(pair => pair.Value.Length < 20_000).Select(pair => pair.Value).ToArray();
        var (scored, refused) = (0, 0);
        for (var i = 0; i < cases; i++)
        {
            var score = engine.Predict(new FileRow { Features = Fuzzing.Mutate(seeds[i % seeds.Length], random) }).Score;
            if (score.All(float.IsNaN))
                refused++;
            else
                scored++;
            Assert.IsTrue(float.IsNaN(score[0]) || Math.Abs(score.Sum() - 1) < 1e-3, $"Case {i} of seed {Fuzzing.Seed}.");
        }

        Console.WriteLine($"Seed {Fuzzing.Seed}: {scored} scored, {refused} refused.");
        Assert.IsGreaterThan(cases / 50, scored);
        Assert.IsGreaterThan(cases / 50, refused);
    }

    private FloodedImageClassificationTransformer CreateModel(OnInvalidImage onInvalidImage) =>
        RandomModel.Create(
            _context, Architecture.Mlp.WithHiddenSizes(8), new ImageShape(8, 8, 3), d => d with { OnInvalidImage = onInvalidImage });

    private ImagePrediction[] Score(ITransformer model, byte[][] files) =>
        [.. _context.Data.CreateEnumerable<ImagePrediction>(
            model.Transform(_context.Data.LoadFromEnumerable(files.Select(file => new FileRow { Features = file }))), false)];

    public sealed class FileRow
    {
        public byte[] Features { get; set; } = [];

        public int Id { get; set; }
    }

    public sealed class FloatRow
    {
        [VectorType(8, 8, 3)]
        public float[] Features { get; set; } = new float[PixelRow.Length];
    }
}
