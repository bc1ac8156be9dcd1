using System.IO.Compression;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Scoring;
using Microsoft.ML.Flooding.Tests.Networks;
using Microsoft.ML.Flooding.Tests.Pipeline;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Scoring;

/// <summary>ONNX Runtime and libtorch in the same transformer.</summary>
[TestClass]
public sealed class ScoringEngineTests
{
    private static readonly ImageShape Shape = new(8, 8, 3);
    private readonly MLContext _context = new(seed: 1);

    public static IEnumerable<string> Names => ArchitectureTests.SmallNames;

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void The_scores_of_both_engines_agree(string name)
    {
        foreach (var shape in new[] { new ImageShape(28, 28, 1), new ImageShape(66, 70, 3) })
        {
            using var scope = NewDisposeScope();
            using var _ = no_grad();
            using var generator = new Generator(2);
            var description = RandomModel.Describe(Architecture.Parse(name), shape) with { Temperature = 1.7f };
            using var onnx = Classify(ScoringEngine.OnnxRuntime);
            using var libTorch = Classify(ScoringEngine.LibTorch);
            Assert.AreEqual(ScoringEngine.OnnxRuntime, onnx.Engine);
            foreach (var count in new[] { 1, 3, 1 })
            {
                var pixels = randint(0, 256, [count, shape.Height, shape.Width, shape.Channels], ScalarType.Byte, generator: generator);
                var (expected, actual) = (new float[count * RandomModel.Classes], new float[count * RandomModel.Classes]);
                libTorch.Score(pixels, expected);
                onnx.Score(pixels, actual);
                OneRowScorer.AssertNear(expected, actual);
                Array.Clear(actual);
                onnx.Score(pixels.to(ScalarType.Float32), actual);
                OneRowScorer.AssertNear(expected, actual);
            }

            ImageClassifier Classify(ScoringEngine engine) => RandomModel.Classify(
                RandomModel.CreateNetwork(Architecture.Parse(name), shape), description with { ScoringEngine = engine });
        }
    }

    [TestMethod]
    public void Auto_is_the_quicker_engine_that_can_score_the_model()
    {
        using var model = RandomModel.Create(_context, Architecture.Mlp.WithHiddenSizes(4), Shape);
        Assert.AreEqual(ScoringEngine.OnnxRuntime, model.ScoringEngine);
        using var half = model.WithScoringPrecision(Precision.BFloat16);
        Assert.AreEqual(ScoringEngine.LibTorch, half.ScoringEngine);
        using var automatic = half.WithScoringPrecision(Precision.Auto);
        Assert.AreEqual(ScoringEngine.OnnxRuntime, automatic.ScoringEngine);
        using var libTorch = model.WithScoringEngine(ScoringEngine.LibTorch);
        Assert.AreEqual(ScoringEngine.LibTorch, libTorch.ScoringEngine);
        using var factory = RandomModel.Create(
            _context, Architecture.FromFactory("engine", (classes, channels) =>
                nn.Sequential(nn.Flatten(), nn.Linear(channels * 64, classes), nn.BatchNorm1d(classes))), Shape);
        Assert.AreEqual(ScoringEngine.LibTorch, factory.ScoringEngine);
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidOperationException>(() => factory.WithScoringEngine(ScoringEngine.OnnxRuntime)).Message, "factory");
    }

    [TestMethod]
    public void Settings_that_exclude_each_other_are_refused()
    {
        using var model = RandomModel.Create(
            _context, Architecture.Mlp.WithHiddenSizes(4), Shape, d => d with { ScoringEngine = ScoringEngine.OnnxRuntime });
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => model.WithScoringEngine((ScoringEngine)9));
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidOperationException>(() => model.WithScoringPrecision(Precision.BFloat16)).Message, "LibTorch");
        var options = ShortRun.Options(o => (o.ScoringEngine, o.ScoringPrecision) = (ScoringEngine.OnnxRuntime, Precision.BFloat16));
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => _context.Transforms.FloodedImageClassification(options)).Message,
            "ScoringEngine");
        options = ShortRun.Options(o => o.ScoringEngine = (ScoringEngine)9);
        StringAssert.Contains(
            Assert.Throws<ArgumentException>(() => _context.Transforms.FloodedImageClassification(options)).Message, "ScoringEngine");
    }

    [TestMethod]
    public void A_network_that_ONNX_Runtime_cannot_score_is_refused_before_training()
    {
        var epochs = 0;
        var options = ShortRun.Options(o =>
        {
            o.Architecture = Architecture.FromFactory("before training", (classes, channels) =>
                nn.Sequential(nn.Flatten(), nn.Linear(channels * 784, classes)));
            o.ScoringEngine = ScoringEngine.OnnxRuntime;
            o.MetricsCallback = _ => epochs++;
        });
        Assert.ThrowsExactly<InvalidOperationException>(
            () => _context.Transforms.FloodedImageClassification(options).Fit(FashionMnistData.Train(_context, 30)));
        Assert.AreEqual(0, epochs);
    }

    [TestMethod]
    public void A_file_has_a_graph_without_weights_and_scores_the_same_bits_with_either_engine()
    {
        using var model = RandomModel.Create(_context, Architecture.ResNet18.WithBaseWidth(8), Shape);
        var file = SavedModel.Save(_context, model, PixelRow.Schema(_context));
        using var archive = new ZipArchive(new MemoryStream(file));
        Assert.IsLessThan(50_000, archive.Entries.Single(entry => entry.Name == "Scoring.onnx").Length);
        var rows = _context.Data.LoadFromEnumerable(PixelRow.Draw(30));
        using var loaded = (FloodedImageClassificationTransformer)SavedModel.Load(file);
        foreach (var engine in new[] { ScoringEngine.OnnxRuntime, ScoringEngine.LibTorch })
        {
            using var before = model.WithScoringEngine(engine);
            using var after = loaded.WithScoringEngine(engine);
            foreach (var (expected, actual) in Score(before).Zip(Score(after)))
                CollectionAssert.AreEqual(expected, actual);
        }
        // A network of libtorch exists now: it takes the place of the bytes.
        using var exported = new TemporaryFile(".onnx");
        loaded.SaveAsOnnx(exported.Path);
        CollectionAssert.AreEqual(
            model.Model.Shapes.Select(shape => shape.Key).ToArray(), loaded.Model.Shapes.Select(shape => shape.Key).ToArray());
        CollectionAssert.AreEqual(Score(model).First(), Score(loaded).First());
        CollectionAssert.AreEqual(SavedModel.Read(file, "Weights.safetensors"), SavedModel.Read(
            SavedModel.Save(_context, loaded, PixelRow.Schema(_context)), "Weights.safetensors"));

        IEnumerable<float[]> Score(ITransformer transformer) => transformer.Transform(rows).GetColumn<float[]>("Score");
    }

    [TestMethod]
    [DataRow(1, 7, 5)]
    [DataRow(2, 6, 6)]
    [DataRow(3, 5, 13)]
    [DataRow(3, 16, 16)]
    [DataRow(4, 9, 3)]
    public void Planes_have_the_values_of_the_normalizer_of_libtorch(int channels, int height, int width)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        var normalization = new Normalization(
            [.. Enumerable.Range(0, channels).Select(c => 100f + c)], [.. Enumerable.Range(0, channels).Select(c => 50f + (3 * c))]);
        using var normalizer = normalization.On(CPU);
        var shape = new ImageShape(height, width, channels);
        var pixels = randint(0, 256, [2, height, width, channels], ScalarType.Byte, generator: generator);
        foreach (var raw in new[] { pixels, pixels.to(ScalarType.Float32) })
        {
            var expected = normalizer.Apply(raw.clone()).contiguous().data<float>().ToArray();
            var actual = new float[2 * shape.Length];
            Apply(raw, actual);
            CollectionAssert.AreEqual(expected, actual);
        }

        unsafe void Apply(Tensor raw, float[] planes)
        {
            fixed (byte* start = raw.bytes)
            {
                var batch = new PixelBatch((nint)start, 2, shape, raw.dtype == ScalarType.Float32);
                for (var i = 0; i < 2; i++)
                    new PlanarNormalizer(normalization).Apply(batch, i, planes.AsSpan(i * shape.Length, shape.Length));
            }
        }
    }
}
