using System.IO.Compression;
using System.Text;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Tests.Pipeline;
using Microsoft.ML.Flooding.Tests.Scoring;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Onnx;

/// <summary>A network from an ONNX file through training, the .zip and out again.</summary>
[TestClass]
public sealed class OnnxTrainingTests
{
    private const int Side = 28;

    private readonly MLContext _context = new(seed: 1);

    [TestMethod]
    public void Trains_flooded_and_goes_through_the_zip_without_its_file()
    {
        var data = FashionMnistData.Train(_context, 300);
        var architecture = Architecture();
        using var model = ShortRun.Fit(_context, data, o =>
            (o.Architecture, o.Epochs, o.FloodLevel, o.LearningRate) = (architecture, 6, 0.3f, 0.005));
        Assert.IsLessThan(model.History.Epochs[0].TrainingLoss, model.History.Epochs[^1].TrainingLoss);
        var zip = SavedModel.Save(_context, model, data.Schema);
        using var loaded = (FloodedImageClassificationTransformer)SavedModel.Load(zip);
        Assert.AreEqual(architecture, loaded.Architecture);
        foreach (var (expected, actual) in Scores(model, data).Zip(Scores(loaded, data)))
            CollectionAssert.AreEqual(expected, actual);

        using var file = new TemporaryFile(".onnx");
        loaded.SaveAsOnnx(file.Path);
        using var again = _context.Transforms.ApplyOnnxModel(
            "probabilities", "image", file.Path, shapeDictionary: new Dictionary<string, int[]> { ["image"] = [1, 1, Side, Side] })
            .Fit(_context.Transforms.CopyColumns("image", "Features").Fit(data).Transform(data));
        var exported = again.Transform(_context.Transforms.CopyColumns("image", "Features").Fit(data).Transform(data)).GetColumn<float[]>(
            "probabilities");
        foreach (var (expected, actual) in Scores(loaded, data).Zip(exported))
            OneRowScorer.AssertNear(expected, actual);
    }

    /// <summary>Comments of exporters hold paths; the weights are in the safetensors.</summary>
    [TestMethod]
    public void The_zip_holds_the_graph_without_weights_and_nothing_of_the_path()
    {
        using var file = new TemporaryFile(".onnx");
        var bytes = File(path: file.Path);
        System.IO.File.WriteAllBytes(file.Path, bytes);
        var architecture = Flooding.Architecture.FromOnnx(file.Path, OnnxInput.Pixels);
        using var model = RandomModel.Create(_context, architecture, new(Side, Side, 1), classes: 10);
        var zip = SavedModel.Save(_context, model, FashionMnistData.Train(_context, 2).Schema);
        using var archive = new ZipArchive(new MemoryStream(zip));
        var graph = archive.Entries.Single(entry => entry.Name == "Network.onnx");
        Assert.IsLessThan(bytes.Length / 4, graph.Length);
        foreach (var entry in archive.Entries)
        {
            using var content = new MemoryStream();
            using (var stream = entry.Open())
                stream.CopyTo(content);
            Assert.AreEqual(-1, content.ToArray().AsSpan().IndexOf(Encoding.UTF8.GetBytes(Path.GetFileName(file.Path))), entry.FullName);
        }
    }

    [TestMethod]
    public void Frozen_layers_keep_every_bit_and_the_head_learns()
    {
        var data = FashionMnistData.Train(_context, 200);
        using var scope = NewDisposeScope();
        var architecture = Architecture();
        using var model = ShortRun.Fit(_context, data, o =>
            (o.Architecture, o.FreezeBackboneEpochs, o.Epochs, o.LearningRate) = (architecture, 99, 8, 0.005));
        using var initial = Initial(architecture);
        using var trained = model.CopyNetwork();
        foreach (var ((name, before), (_, after)) in initial.State().Zip(trained.State()))
            Assert.AreEqual(!name.StartsWith("head.", StringComparison.Ordinal), before.Equals(after), name);
        Assert.IsLessThan(model.History.Epochs[0].TrainingLoss, model.History.Epochs[^1].TrainingLoss);
    }

    [TestMethod]
    public void Frozen_batch_norm_and_rates_by_layer_see_the_layers()
    {
        using var network = Initial(Architecture());
        using var weights = new WorkingWeights(network, CPU, ScalarType.Float32);
        var factors = weights.Names.Zip(LayerWiseDecay.Factors(weights, 0.5)).ToDictionary(f => f.First, f => f.Second);
        Assert.AreEqual(1, factors["head.weight"]);
        Assert.AreEqual(0.5, factors.Where(f => f.Key.StartsWith("blocks.", StringComparison.Ordinal)).Last().Value);
        Assert.AreEqual(Math.Pow(0.5, 4), factors["blocks.0.0.weight"]);
        var data = FashionMnistData.Train(_context, 200);
        using var scope = NewDisposeScope();
        using var model = ShortRun.Fit(_context, data, o =>
            (o.Architecture, o.FreezeBatchNorm, o.LayerDecay) = (Architecture(), true, 0.7));
        using var initial = Initial(Architecture());
        using var trained = model.CopyNetwork();
        var norms = initial.named_modules().Where(m => m.module is TorchSharp.Modules.BatchNorm2d).Select(m => m.name + ".").ToArray();
        Assert.HasCount(3, norms);
        foreach (var ((name, before), (_, after)) in initial.State().Zip(trained.State()))
            Assert.AreEqual(norms.Any(norm => name.StartsWith(norm, StringComparison.Ordinal)), before.Equals(after), name);
    }

    [TestMethod]
    public void A_trained_model_is_trained_further_for_more_classes()
    {
        var data = FashionMnistData.Train(_context, 200);
        using var first = ShortRun.Fit(_context, data, o => o.Architecture = Architecture());
        using var loaded = (FloodedImageClassificationTransformer)SavedModel.Load(SavedModel.Save(_context, first, data.Schema));
        var more = _context.Data.LoadFromEnumerable(FashionMnistData.Rows("train", 100).Select((row, i) =>
            new Named { Label = i % 2 == 0 ? "new" : "newer", Features = row.Features }));
        var keyed = _context.Transforms.Conversion.MapValueToKey("Label").Fit(more).Transform(more);
        using var further = _context.Transforms.FloodedImageClassification(
            ShortRun.Options(o => (o.Architecture, o.Epochs) = (Flooding.Architecture.Auto, 1))).Fit(keyed, loaded);
        Assert.AreEqual(first.Architecture, further.Architecture);
        Assert.HasCount(12, further.Labels);
    }

    [TestMethod]
    public void BFloat16_trains_and_keeps_constants_exact()
    {
        var data = FashionMnistData.Train(_context, 100);
        var mean = Enumerable.Range(0, Side * Side).Select(i => 0.1f + (i / 1000f)).ToArray();
        var architecture = OnnxCheck.Read(File(), OnnxInput.Pixels with { MeanImage = mean });
        using var scope = NewDisposeScope();
        using var model = ShortRun.Fit(_context, data, o => (o.Architecture, o.Precision) = (architecture, Precision.BFloat16));
        using var network = model.CopyNetwork();
        CollectionAssert.AreEqual(mean, network.named_buffers().First(b => b.buffer.numel() == mean.Length).buffer.data<float>().ToArray());
    }

    private static float[][] Scores(FloodedImageClassificationTransformer model, IDataView data) =>
        [.. model.Transform(data).GetColumn<float[]>("Score")];

    private static Architecture Architecture() => OnnxCheck.Read(File(), OnnxInput.Pixels with { Mean = [73], Deviation = [90] });

    private static Network Initial(Architecture architecture)
    {
        using var generator = RandomStreams.Create(1, RandomStreams.Purpose.Weights, 0);
        return architecture.Create(new(Side, Side, 1), 10, generator);
    }

    /// <summary>A residual network for the 1,000 classes of others.</summary>
    private static byte[] File(string path = "")
    {
        var g = new TestGraph(13, 1, 1, Side, Side);
        g.Model.Graph.Name = path;
        g.Model.ProducerName = path;
        string Conv(string x, long inputs, long outputs, long stride)
        {
            var y = g.Node("Conv", [x, g.Weights(outputs, inputs, 3, 3)], ("pads", new long[] { 1, 1, 1, 1 }),
                ("strides", new[] { stride, stride }));
            return g.Node("BatchNormalization", [y, g.Positive(outputs), g.Weights(outputs), g.Weights(outputs), g.Positive(outputs)]);
        }
        var stem = g.Node("Relu", [Conv(g.Input, 1, 8, 2)]);
        var inner = g.Node("Relu", [Conv(stem, 8, 8, 1)]);
        var block = g.Node("Relu", [g.Node("Add", [Conv(inner, 8, 8, 1), stem])]);
        var features = g.Node("Relu", [g.Node("Gemm", [g.Node("Flatten", [g.Node("MaxPool", [block], ("kernel_shape", new long[] { 2, 2 }),
            ("strides", new long[] { 2, 2 }))]), g.Weights(392, 32), g.Weights(32)])]);
        var hidden = g.Node("Relu", [g.Node("Gemm", [features, g.Weights(32, 16), g.Weights(16)])]);
        return g.File(g.Node("Softmax", [g.Node("Gemm", [hidden, g.Weights(16, 1000), g.Weights(1000)])], ("axis", 1)));
    }

    private sealed class Named
    {
        public string Label { get; set; } = "";

        [VectorType(Side, Side)]
        public float[] Features { get; set; } = [];
    }
}
