using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Search;
using Microsoft.ML.Flooding.Tests.Images;
using Microsoft.ML.Flooding.Tests.Pipeline;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Transfer;

/// <summary>FineTuning.AllLayers trains the last layer, then all of them, and keeps what validation data prefers.</summary>
[TestClass]
public sealed class AllLayersTests
{
    private static readonly Architecture Small = Architecture.ResNet18.WithBaseWidth(4);

    private static readonly TemporaryFile Weights = new(".safetensors");

    private readonly MLContext _context = new(seed: 1);

    [ClassInitialize]
    public static void Pretrain(TestContext _)
    {
        var context = new MLContext(seed: 1);
        using var model = ShortRun.Fit(context, FashionMnistData.Train(context, 300), o => o.Architecture = Small);
        model.SaveAsSafetensors(Weights.Path);
    }

    [ClassCleanup]
    public static void DeleteWeights() => Weights.Dispose();

    [TestMethod]
    public void Fit_trains_the_last_layer_and_then_all_layers()
    {
        var log = new List<string>();
        _context.Log += (_, e) => log.Add(e.Message);
        var data = FashionMnistData.Train(_context, 200);
        using var model = Fit(data);
        Assert.IsNotNull(model.History.HeadTrial);
        Assert.AreEqual("180", model.History.Settings["number of training images"]);
        Assert.IsTrue(log.Any(line => line.Contains("minutes", StringComparison.Ordinal)), string.Join('\n', log));
        Assert.IsTrue(log.Any(line => line.Contains("all layers stay trained", StringComparison.Ordinal)), string.Join('\n', log));
        Assert.HasCount(AllLayers.Epochs, model.History.Epochs);
        Assert.AreEqual(1f, model.History.FloodLevel / TrainingOptions.DefaultFloodLevel);

        using var scope = NewDisposeScope();
        using var initial = Small.CreateEmpty(new(28, 28, 1), 10);
        PretrainedWeights.Load(initial, Weights.Path, null);
        using var trained = model.CopyNetwork();
        var changed = initial.State().Zip(trained.State()).Where(pair => !pair.First.Tensor.Equals(pair.Second.Tensor))
            .Select(pair => pair.First.Name).ToArray();
        CollectionAssert.Contains(changed, "conv1.weight");
        // Batch norm is frozen.
        CollectionAssert.DoesNotContain(changed, "bn1.running_mean");
    }

    /// <summary>A network that gets worse is not kept.</summary>
    [TestMethod]
    [DataRow(1, true)]
    [DataRow(-1, false)]
    public void Validation_data_chooses_between_the_last_layer_and_all_layers(int sign, bool isBetter)
    {
        using var scope = NewDisposeScope();
        using var set = ImageSetTests.Load(FashionMnistData.Train(_context, 200));
        var runs = new RunFactory(
            Small, 10, new TrainingData(set, arange(150), set, arange(150, 200)), new Normalization([73f], [90f]), CPU, ScalarType.Float32,
            1, () => { }, head => PretrainedWeights.Load(head, Weights.Path, null));
        using var network = runs.CreateNetwork();
        var before = network.State().ToDictionary(s => s.Name, s => s.Tensor.clone());
        var options = new TrainingOptions { Objective = FloodingObjective.FromFunction("signed", losses => losses.mean() * sign) };
        var log = new List<string>();
        var history = new AllLayers(runs, options, wrongLabels: 0).Train(network, _ => { }, log.Add);
        Assert.AreEqual(isBetter, history is not null, log[0]);
        Assert.AreEqual(!isBetter, network.State().All(s => s.Tensor.Equals(before[s.Name])));
        StringAssert.Contains(log[0], isBetter ? "all layers stay trained" : "the last layer alone stays trained");
    }

    [TestMethod]
    public void A_stopped_run_has_the_best_network_so_far_and_continues_from_its_checkpoints()
    {
        var folder = Directory.CreateTempSubdirectory("flooding-layers-").FullName;
        try
        {
            var data = FashionMnistData.Train(_context, 120);
            using var whole = Fit(data);
            using var stop = new CancellationTokenSource();
            var last = 0;
            void StopAfterTheHead(EpochMetrics metrics)
            {
                // The epochs begin again at 1.
                if (metrics.Epoch < last)
                    stop.Cancel();
                last = metrics.Epoch;
            }
            using var stopped = Fit(
                data, o => (o.CheckpointDirectory, o.StopToken, o.MetricsCallback) = (folder, stop.Token, StopAfterTheHead));
            Assert.IsTrue(stopped.History.Stopped);
            Assert.IsNotEmpty(Directory.GetFiles(Path.Combine(folder, "all-layers")));
            using var continued = Fit(data, o => o.CheckpointDirectory = folder);
            CollectionAssert.AreEqual(
                SavedModel.Weights(_context, whole, data.Schema), SavedModel.Weights(_context, continued, data.Schema));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    public void What_it_cannot_do_is_an_error_that_says_so()
    {
        var data = FashionMnistData.Train(_context, 50);
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => Fit(data, o => o.Epochs = 3)).Message, "FineTuning is AllLayers");
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => Fit(data, o => o.PretrainedWeights = null)).Message, "PretrainedWeights");
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidOperationException>(() => Fit(data, o => o.ValidationSetFraction = null)).Message,
            "FineTuning AllLayers needs a ValidationSet");
    }

    private FloodedImageClassificationTransformer Fit(IDataView data, Action<FloodedImageClassificationTrainer.Options>? change = null) =>
        _context.Transforms.FloodedImageClassification(Options(change)).Fit(data);

    private static FloodedImageClassificationTrainer.Options Options(Action<FloodedImageClassificationTrainer.Options>? change = null) =>
        ShortRun.Options(o =>
        {
            (o.Architecture, o.PretrainedWeights, o.Epochs, o.FineTuning) = (Small, Weights.Path, null, FineTuning.AllLayers);
            change?.Invoke(o);
        });
}
