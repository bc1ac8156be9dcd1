using System.Text.Json;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Tests.Networks;
using Microsoft.ML.Flooding.Tests.Pipeline;
using Microsoft.ML.Flooding.Tests.Scoring;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Transfer;

/// <summary>Models exported from ML.NET, and external networks saved in its .zip file.</summary>
[TestClass]
public sealed class ExportTests
{
    private const int Side = 28;

    private readonly MLContext _context = new(seed: 1);

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void ONNX_Runtime_gives_the_scores_of_the_transformer(bool includeNormalization)
    {
        using var file = new TemporaryFile(".onnx");
        var data = FashionMnistData.Train(_context, 300);
        using var model = ShortRun.Fit(
            _context, data, o => (o.Architecture, o.FitTemperature) = (Architecture.ConvNet.WithBaseWidth(8), true));
        Assert.AreNotEqual(1, model.Temperature);
        model.SaveAsOnnx(file.Path, includeNormalization);
        using var session = new InferenceSession(file.Path);
        var metadata = session.ModelMetadata.CustomMetadataMap;
        CollectionAssert.AreEqual(model.Labels.ToArray(), JsonSerializer.Deserialize<string[]>(metadata["labels"]));
        var mean = JsonSerializer.Deserialize<float[]>(metadata["mean"])!.Single();
        var deviation = JsonSerializer.Deserialize<float[]>(metadata["deviation"])!.Single();
        var rows = FashionMnistData.Rows("t10k", 64);
        var pixels = rows.SelectMany(r => r.Features).Select(p => includeNormalization ? p : (p - mean) / deviation).ToArray();
        using var results = session.Run(
            [NamedOnnxValue.CreateFromTensor("image", new DenseTensor<float>(pixels, [rows.Count, 1, Side, Side]))]);
        var expected = model.Transform(FashionMnistData.Test(_context, 64)).GetColumn<float[]>("Score").SelectMany(s => s).ToArray();
        OneRowScorer.AssertNear(expected, results.Single().AsTensor<float>().ToArray());
    }

    [TestMethod]
    public void ApplyOnnxModel_gives_the_scores_of_the_transformer()
    {
        using var file = new TemporaryFile(".onnx");
        using var model = ShortRun.Fit(_context, FashionMnistData.Train(_context, 300));
        model.SaveAsOnnx(file.Path);
        var test = FashionMnistData.Test(_context, 32);
        var shapes = new Dictionary<string, int[]> { ["image"] = [1, 1, Side, Side] };
        using var onnx = _context.Transforms.CopyColumns("image", "Features")
            .Append(_context.Transforms.ApplyOnnxModel("probabilities", "image", file.Path, shapes))
            .Fit(test);
        var (ours, theirs) = (model.Transform(test), onnx.Transform(test));
        foreach (var (expected, actual) in ours.GetColumn<float[]>("Score").Zip(theirs.GetColumn<float[]>("probabilities")))
            OneRowScorer.AssertNear(expected, actual);
    }

    [TestMethod]
    public void Export_that_fails_leaves_the_old_file()
    {
        using var file = new TemporaryFile(".onnx");
        File.WriteAllText(file.Path, "old");
        var architecture = Architecture.FromFactory(
            "export", (classes, channels) => nn.Sequential(nn.Flatten(), nn.Linear(784 * channels, classes)));
        using var model = ShortRun.Fit(_context, FashionMnistData.Train(_context, 100), o => o.Architecture = architecture);
        StringAssert.Contains(Assert.ThrowsExactly<NotSupportedException>(() => model.SaveAsOnnx(file.Path)).Message, "factory:export");
        Assert.AreEqual("old", File.ReadAllText(file.Path));
        Assert.HasCount(1, Directory.GetFiles(Path.GetDirectoryName(file.Path)!, Path.GetFileName(file.Path) + "*"));
    }

    [TestMethod]
    public void Safetensors_hold_the_weights_in_torchvisions_names()
    {
        using var scope = NewDisposeScope();
        using var file = new TemporaryFile(".safetensors");
        using var model = RandomModel.Create(_context, Architecture.ResNet18.WithBaseWidth(4), new(32, 32, 3));
        model.SaveAsSafetensors(file.Path);
        using var read = SafetensorsFile.Open(file.Path);
        Assert.AreEqual("resnet18-width4", read.Metadata["architecture"]);
        using var network = model.CopyNetwork();
        var loaded = read.LoadAll();
        Assert.IsTrue(loaded.ContainsKey("layer1.0.conv1.weight"));
        foreach (var (name, tensor) in network.State())
            Assert.IsTrue(tensor.Equals(loaded[name]), name);
    }

    [TestMethod]
    public void TorchScript_trains_flooded_and_goes_through_the_zip()
    {
        using var script = new TemporaryFile(".pt");
        File.WriteAllBytes(script.Path, TorchScriptArchive.Linear(Side * Side, 10));
        var architecture = Architecture.FromTorchScript(script.Path, Side, [0.3f], [0.35f]);
        var data = FashionMnistData.Train(_context, 400);
        using var model = ShortRun.Fit(
            _context, data, o => (o.Architecture, o.Epochs, o.FloodLevel, o.LearningRate) = (architecture, 20, 0.3f, 0.005));
        Assert.AreEqual(0.3f * 255, model.Description.Normalization.Mean[0]);
        Assert.IsGreaterThan(
            0.6, _context.MulticlassClassification.Evaluate(model.Transform(FashionMnistData.Test(_context))).MicroAccuracy);
        var zip = SavedModel.Save(_context, model, data.Schema);
        File.Delete(script.Path);
        using var loaded = (FloodedImageClassificationTransformer)SavedModel.Load(zip);
        Assert.AreEqual(architecture, loaded.Architecture);
        var (before, after) = (model.Transform(data), loaded.Transform(data));
        foreach (var (expected, actual) in before.GetColumn<float[]>("Score").Zip(after.GetColumn<float[]>("Score")))
            CollectionAssert.AreEqual(expected, actual);
        using var bfloat16 = loaded.WithScoringPrecision(Precision.BFloat16);
        StringAssert.Contains(Assert.ThrowsExactly<NotSupportedException>(() => loaded.SaveAsOnnx(script.Path)).Message, "TorchScript");
        using var further = _context.Transforms.FloodedImageClassification(
            ShortRun.Options(o => (o.Architecture, o.Epochs) = (Architecture.Auto, 1))).Fit(data, loaded);
        Assert.AreEqual(architecture, further.Architecture);
    }

    [TestMethod]
    public void Network_of_a_factory_goes_through_the_zip_by_its_name()
    {
        var architecture = Architecture.FromFactory("zip", (classes, channels) =>
            nn.Sequential(
                nn.Conv2d(channels, 8, 3, stride: 2), nn.BatchNorm2d(8), nn.ReLU(),
                nn.Flatten(), nn.Linear(8 * 13 * 13, classes)));
        var data = FashionMnistData.Train(_context, 300);
        using var model = ShortRun.Fit(_context, data, o => (o.Architecture, o.Epochs) = (architecture, 4));
        using var loaded = (FloodedImageClassificationTransformer)SavedModel.Load(SavedModel.Save(_context, model, data.Schema));
        var (before, after) = (model.Transform(data), loaded.Transform(data));
        foreach (var (expected, actual) in before.GetColumn<float[]>("Score").Zip(after.GetColumn<float[]>("Score")))
            CollectionAssert.AreEqual(expected, actual);
    }
}
