using System.Collections.Concurrent;
using System.Reflection;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Tests.Scoring;

namespace Microsoft.ML.Flooding.Tests.Pipeline;

/// <summary>What ML.NET offers around a model: feature importance, and places that a model is loaded from.</summary>
[TestClass]
public sealed class OtherDoorsTests : IDisposable
{
    private readonly MLContext _context = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    public void Permutation_feature_importance_finds_the_pixel_that_decides()
    {
        var random = new Random(1);
        var rows = _context.Data.LoadFromEnumerable(Enumerable.Range(0, 200).Select(i =>
        {
            var pixels = Enumerable.Range(0, 4).Select(_ => (float)random.Next(256)).ToArray();
            pixels[2] = i % 2 == 0 ? 0 : 255;
            return new Pixels { Features = pixels, Class = i % 2 == 0 ? "dark" : "bright" };
        }));
        var trainer = _context.Transforms.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
        {
            Architecture = Architecture.Mlp.WithHiddenSizes(),
            Epochs = 20,
        });
        var data = _context.Transforms.Conversion.MapValueToKey("Label", nameof(Pixels.Class)).Fit(rows).Transform(rows);
        using var model = trainer.Fit(data);

        var importance = _context.MulticlassClassification.PermutationFeatureImportance(model, data);
        var drops = importance.Select(metrics => metrics.MicroAccuracy.Mean).ToArray();
        Assert.HasCount(4, drops);
        Assert.AreEqual(2, Array.IndexOf(drops, drops.Min()), string.Join(", ", drops));
        Assert.IsLessThan(-0.3, drops[2]);
    }

    [TestMethod]
    public void A_model_is_loaded_from_an_embedded_resource()
    {
        using var resource = Assembly.GetExecutingAssembly().GetManifestResourceStream("model.zip")!;
        var labels = FloodedImageClassificationTransformer.In(_context.Model.Load(resource, out _)).Labels;
        Assert.IsNotEmpty(labels);
        resource.Position = 0;
        var safe = FloodedImageClassificationTransformer.In(_context.Model.LoadSafely(resource, out _)).Labels;
        CollectionAssert.AreEqual(labels.ToArray(), safe.ToArray());
    }

    [TestMethod]
    public void A_model_is_loaded_from_a_file_that_cannot_be_written()
    {
        var file = Path.Combine(_folder, "model.zip");
        File.Copy(Path.Combine(Fixtures.Models, "format-1.zip"), file);
        File.SetAttributes(file, FileAttributes.ReadOnly);
        try
        {
            // A reader that asked for more than reading would be refused by this lock.
            using var held = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.Read);
            (_context.Model.Load(file, out _) as IDisposable)!.Dispose();
            (_context.Model.LoadSafely(file, out _) as IDisposable)!.Dispose();
        }
        finally
        {
            File.SetAttributes(file, FileAttributes.Normal);
        }
    }

    /// <summary>
    /// PredictionEnginePool loads the model again when its file changes. It drops the engines of the old model without disposing of them,
    /// while some still serve.
    /// </summary>
    [TestMethod]
    [Timeout(300_000, CooperativeCancellation = true)]
    public async Task A_pool_that_watches_the_file_serves_the_new_model_and_never_a_mixture()
    {
        const int Saves = 6;
        using var models = new Models(_context);
        var expected = models.All.Select(model => Predict(Engine(model))).ToList();
        var path = Path.Combine(_folder, "model.zip");
        _context.Model.SaveSafely(models.All[0], null, path);

        var pool = new ConcurrentBag<PredictionEngine<Pixels, Scores>>();
        var current = _context.Model.Load(path, out _);
        using var watcher = new FileSystemWatcher(_folder, "model.zip");
        using var reloaded = new SemaphoreSlim(0);
        watcher.Changed += (_, _) =>
        {
            current = _context.Model.Load(path, out var _);
            pool = [];
            reloaded.Release();
        };
        watcher.EnableRaisingEvents = true;
        using var stop = new CancellationTokenSource();
        var clients = Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            var predictions = 0;
            for (; !stop.IsCancellationRequested; predictions++)
            {
                var borrowedFrom = pool;
                if (!borrowedFrom.TryTake(out var engine))
                    engine = Engine(current);
                var scores = Predict(engine);
                Assert.IsTrue(expected.Any(scores.SequenceEqual), string.Join(", ", scores));
                borrowedFrom.Add(engine);
            }
            return predictions;
        })).ToArray();
        for (var save = 1; save <= Saves; save++)
        {
            _context.Model.SaveSafely(models.All[save % 2], null, path);
            Assert.IsTrue(await reloaded.WaitAsync(TimeSpan.FromMinutes(2)), $"save {save}");
            CollectionAssert.AreEqual(expected[save % 2], Predict(Engine(current)));
        }
        await stop.CancelAsync();
        Assert.IsTrue((await Task.WhenAll(clients)).All(predictions => predictions > 0));
    }

    private static float[] Predict(PredictionEngine<Pixels, Scores> engine) =>
        engine.Predict(new Pixels { Features = [10, 200, 30, 90] }).Score;

    private PredictionEngine<Pixels, Scores> Engine(ITransformer model) => _context.Model.CreatePredictionEngine<Pixels, Scores>(model);

    /// <summary>Two models with different weights.</summary>
    private sealed class Models(MLContext context) : IDisposable
    {
        public IReadOnlyList<FloodedImageClassificationTransformer> All { get; } =
        [
            .. new[] { 3, 5 }.Select(
                hidden => RandomModel.Create(context, Architecture.Mlp.WithHiddenSizes(hidden), new ImageShape(2, 2, 1))),
        ];

        public void Dispose()
        {
            foreach (var model in All)
                model.Dispose();
        }
    }

    private sealed class Scores
    {
        public float[] Score { get; set; } = [];
    }

    private sealed class Pixels
    {
        [VectorType(2, 2)]
        public float[] Features { get; set; } = [];

        public string Class { get; set; } = "";
    }
}
