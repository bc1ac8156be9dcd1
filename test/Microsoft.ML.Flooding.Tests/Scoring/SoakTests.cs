using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Tests.Scoring;

/// <summary>
/// Scores in every way for the number of seconds in the environment variable FLOODING_SOAK_SECONDS, 6 by default. 600 is the soak test of
/// ten minutes.
/// </summary>
[TestClass]
public sealed class SoakTests
{
    private const int Threads = 4;
    private const int Samples = 60;

    // The most by which fragmentation of the heap and the runtime's bookkeeping can differ. A leak of 100 bytes per prediction exceeds it
    // in ten minutes.
    private const long Noise = 24_000_000;

    private static readonly TimeSpan Length = TimeSpan.FromSeconds(
        int.TryParse(Environment.GetEnvironmentVariable("FLOODING_SOAK_SECONDS"), CultureInfo.InvariantCulture, out var seconds)
            ? seconds : 6);

    private static readonly byte[][] Files = [.. HostileImages.Readable.Concat(HostileImages.Unreadable).Select(pair => pair.Value)];

    private readonly MLContext _context = new();
    private readonly PixelRow[] _rows = PixelRow.Draw(200);
    private long _predictions;

    [TestMethod]
    [DataRow(ScoringEngine.OnnxRuntime)]
    [DataRow(ScoringEngine.LibTorch)]
    public void Memory_stays_flat_and_scores_the_same(ScoringEngine engine)
    {
        using var model = RandomModel.Create(
            _context, Architecture.ConvNet.WithBaseWidth(4), new ImageShape(8, 8, 3),
            d => d with { OnInvalidImage = OnInvalidImage.Skip, ScoringEngine = engine });
        var expected = Expected(model);
        using var saved = new MemoryStream();
        _context.Model.Save(model, null, saved);
        var file = saved.ToArray();
        var memory = new List<long>();
        var watch = Stopwatch.StartNew();

        // All threads pause while memory is measured, so that it does not depend on their work in progress.
        using var pause = new Barrier(Threads, _ =>
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            GC.Collect();
            memory.Add(Environment.WorkingSet);
        });
        ConcurrencyTests.RunOnThreads(Threads, thread =>
        {
            try
            {
                using var pixels = ConcurrencyTests.CreateEngine(_context, model);
                using var files = CreateFileEngine(model);
                for (var sample = 1; sample <= Samples; sample++)
                {
                    Reload(file, expected, thread);
                    while (watch.Elapsed < Length * sample / Samples)
                        Score(model, pixels, files, expected, thread);
                    pause.SignalAndWait();
                }
            }
            catch
            {
                // Otherwise the other threads would wait for this one.
                pause.RemoveParticipant();
                throw;
            }
        });

        var (early, late) = (memory[(Samples / 4)..(Samples / 2)].Average(), memory[^(Samples / 4)..].Average());
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{_predictions} predictions in {watch.Elapsed.TotalSeconds:0} s: {early / 1e6:0} MB in the second quarter, {late / 1e6:0} MB "
            + $"in the last. Samples: {string.Join(' ', memory.Select(bytes => bytes / 1_000_000))}"));
        Assert.IsLessThan(Noise, late - early, "The process grows.");
    }

    private void Score(
        FloodedImageClassificationTransformer model, PredictionEngine<PixelRow, ImagePrediction> pixels,
        PredictionEngine<HostileImageTests.FileRow, ImagePrediction> files, Expectation expected, int thread)
    {
        for (var i = 0; i < _rows.Length; i++)
            AssertSame(expected.Pixels[i], pixels.Predict(_rows[i]).Score);
        for (var i = 0; i < Files.Length; i++)
            AssertSame(expected.Files[i], files.Predict(new HostileImageTests.FileRow { Features = Files[i] }).Score);
        var view = model.Transform(_context.Data.LoadFromEnumerable(_rows));
        foreach (var (scores, row) in view.GetColumn<float[]>("Score").Zip(expected.Rows))
            AssertSame(row, scores);
        using var abandoned = view.GetRowCursor(view.Schema);
        for (var i = 0; i <= thread; i++)
            Assert.IsTrue(abandoned.MoveNext());
        Interlocked.Add(ref _predictions, (2 * _rows.Length) + Files.Length);
    }

    // Rarely: TorchSharp leaks some hundred bytes per module of each disposed network, and ML.NET leaks as much per engine.
    private void Reload(byte[] file, Expectation expected, int thread)
    {
        using var stream = new MemoryStream(file);
        using var loaded = (FloodedImageClassificationTransformer)_context.Model.LoadSafely(stream, out var _);
        using var libTorch = loaded.WithScoringEngine(ScoringEngine.LibTorch);
        using var half = libTorch.WithScoringPrecision(Precision.BFloat16);
        using var engine = ConcurrencyTests.CreateEngine(_context, loaded);
        using var halfEngine = ConcurrencyTests.CreateEngine(_context, half);
        AssertSame(expected.Pixels[thread], engine.Predict(_rows[thread]).Score);
        Assert.AreEqual(1, halfEngine.Predict(_rows[thread]).Score.Sum(), 0.01);
    }

    private Expectation Expected(FloodedImageClassificationTransformer model)
    {
        using var engine = ConcurrencyTests.CreateEngine(_context, model);
        using var files = CreateFileEngine(model);
        return new Expectation(
            [.. _rows.Select(row => engine.Predict(row).Score)],
            [.. Files.Select(file => files.Predict(new HostileImageTests.FileRow { Features = file }).Score)],
            [.. model.Transform(_context.Data.LoadFromEnumerable(_rows)).GetColumn<float[]>("Score")]);
    }

    private PredictionEngine<HostileImageTests.FileRow, ImagePrediction> CreateFileEngine(ITransformer model) =>
        _context.Model.CreatePredictionEngine<HostileImageTests.FileRow, ImagePrediction>(
            model, new PredictionEngineOptions { OwnsTransformer = false });

    // Two NaNs count as equal.
    private static void AssertSame(float[] expected, float[] actual) =>
        Assert.IsTrue(expected.AsSpan().SequenceEqual(actual) || (expected.All(float.IsNaN) && actual.All(float.IsNaN)));

    private sealed record Expectation(float[][] Pixels, float[][] Files, float[][] Rows);
}
