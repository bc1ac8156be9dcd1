using System.Reflection;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding;
using Microsoft.ML.TorchSharp;
using Microsoft.ML.TorchSharp.NasBert;
using Microsoft.ML.Transforms.Image;
using TorchSharp;

namespace Together;

/// <summary>
/// Microsoft.ML.TorchSharp 0.23.1, built against TorchSharp 0.102, in the same process as this library and on its TorchSharp. The weights
/// of its networks are downloads; here they are random, in a file where the download would put them.
/// </summary>
[TestClass]
public sealed class TogetherTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory();
    private readonly MLContext _context = new(seed: 1);

    public TogetherTests() => _context.TempFilePath = _folder.FullName;

    public void Dispose() => _folder.Delete(recursive: true);

    [TestMethod]
    public void One_TorchSharp_serves_both() =>
        Assert.AreEqual(new Version(0, 107, 0), ThreeParts(typeof(torch).Assembly.GetName().Version!));

    /// <summary>
    /// Its initialization of weights disposes of what TorchSharp's functions return. Since 0.102 these return the weight itself, so the
    /// networks lose their weights before the first step.
    /// </summary>
    [TestMethod]
    public void Its_text_trainers_fail_on_this_TorchSharp_and_images_train_before_and_after()
    {
        TrainImages();
        WriteEncoder("NasBert2000000.tsm");
        var text = _context.Data.LoadFromEnumerable(Enumerable.Range(0, 8).Select(i => new Sentence
        {
            Label = i % 2 == 0 ? "good" : "bad",
            Sentence1 = $"a film {i}",
            Sentence2 = $"a book {i}",
            Similarity = i,
        }));
        var classification = _context.Transforms.Conversion.MapValueToKey("Label")
            .Append(_context.MulticlassClassification.Trainers.TextClassification(batchSize: 4, maxEpochs: 1));
        var similarity = _context.Regression.Trainers.SentenceSimilarity("Similarity", batchSize: 4, maxEpochs: 1);
        foreach (var fit in new Action[] { () => classification.Fit(text), () => similarity.Fit(text) })
            StringAssert.Contains(Assert.ThrowsExactly<InvalidOperationException>(fit).Message, "empty handle");
        TrainImages();
    }

    [TestMethod]
    public void Its_object_detection_fails_on_this_TorchSharp()
    {
        // No weights: the file has no entries, and the trainer does not require all of them.
        var folder = Directory.CreateDirectory(Path.Combine(_folder.FullName, "mlnet"));
        File.WriteAllBytes(Path.Combine(folder.FullName, "autoformer_11m_torchsharp.bin"), [0]);
        var scenes = _context.Data.LoadFromEnumerable(Enumerable.Range(0, 2).Select(_ => new Scene()));
        var pipeline = _context.Transforms.Conversion.MapValueToKey("Labels")
            .Append(_context.MulticlassClassification.Trainers.ObjectDetection(
                "Labels", boundingBoxColumnName: "Boxes", imageColumnName: "Picture", maxEpoch: 1));
        var e = Assert.Throws<Exception>(() => pipeline.Fit(scenes));
        StringAssert.Contains(e.GetBaseException().Message, "interpolate", e.ToString());
    }

    /// <summary>Trains and scores with this library.</summary>
    private void TrainImages()
    {
        var random = new Random(1);
        var images = _context.Data.LoadFromEnumerable(Enumerable.Range(0, 32).Select(i =>
        {
            var pixels = new byte[8 * 8];
            random.NextBytes(pixels);
            return new Image { Label = i % 2 == 0 ? "a" : "b", Features = pixels };
        }));
        var trainer = _context.Transforms.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
        {
            Architecture = Architecture.Mlp.WithHiddenSizes(8),
            Epochs = 2,
        });
        using var model = _context.Transforms.Conversion.MapValueToKey("Label").Append(trainer).Fit(images);
        Assert.IsTrue(model.Transform(images).GetColumn<float[]>("Score").All(score => Math.Abs(score.Sum() - 1) < 1e-5f));
    }

    /// <summary>Writes an encoder with random weights where Microsoft.ML.TorchSharp looks for the download.</summary>
    private void WriteEncoder(string name)
    {
        var library = typeof(TextClassificationTrainer).Assembly;
        var type = library.GetType("Microsoft.ML.TorchSharp.NasBert.Models.ModelForPrediction", throwOnError: true)!;
        // The padding index and the number of symbols of the library's own vocabulary.
        using var model = (torch.nn.Module)Activator.CreateInstance(
            type, BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic, null,
            [new TextClassificationTrainer.TextClassificationOptions(), 1, 50265, 2], null)!;
        var encoder = (torch.nn.Module)type.GetMethod("GetEncoder")!.Invoke(model, null)!;
        var folder = Directory.CreateDirectory(Path.Combine(_folder.FullName, "mlnet"));
        encoder.save(Path.Combine(folder.FullName, name));
    }

    private static Version ThreeParts(Version version) => new(version.Major, version.Minor, version.Build);

    private sealed class Sentence
    {
        public string Label { get; set; } = "";

        public string Sentence1 { get; set; } = "";

        public string Sentence2 { get; set; } = "";

        public float Similarity { get; set; }
    }

    private sealed class Scene
    {
        [ImageType(64, 64)]
        public MLImage Picture { get; set; } = MLImage.CreateFromPixels(64, 64, MLPixelFormat.Rgba32, new byte[64 * 64 * 4]);

        public string[] Labels { get; set; } = ["box"];

        public float[] Boxes { get; set; } = [8, 8, 40, 40];
    }

    private sealed class Image
    {
        public string Label { get; set; } = "";

        [VectorType(8, 8)]
        public byte[] Features { get; set; } = [];
    }
}
