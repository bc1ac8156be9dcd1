using System.Reflection;
using Microsoft.ML.Data;

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

    private sealed class Pixels
    {
        [VectorType(2, 2)]
        public float[] Features { get; set; } = [];

        public string Class { get; set; } = "";
    }
}
