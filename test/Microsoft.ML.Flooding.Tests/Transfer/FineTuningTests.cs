using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Tests.Networks;
using Microsoft.ML.Flooding.Tests.Pipeline;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Transfer;

/// <summary>What is trained, and what stays unchanged.</summary>
[TestClass]
public sealed class FineTuningTests
{
    private static readonly Architecture Network = Architecture.ResNet18.WithBaseWidth(4);

    private readonly MLContext _context = new(seed: 1);

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Frozen_layers_keep_every_bit_and_the_head_learns(bool isAugmented)
    {
        var data = FashionMnistData.Train(_context, 300);
        using var scope = NewDisposeScope();
        using var model = Fit(data, o => (o.FreezeBackboneEpochs, o.Augmentation, o.Epochs, o.LearningRate)
            = (99, isAugmented ? Augmentation.Small : Augmentation.None, 8, 0.005));
        using var initial = Initial();
        using var trained = model.CopyNetwork();
        foreach (var ((name, before), (_, after)) in initial.State().Zip(trained.State()))
            Assert.AreEqual(!name.StartsWith("fc.", StringComparison.Ordinal), before.Equals(after), name);
        Assert.IsLessThan(model.History.Epochs[0].TrainingLoss, model.History.Epochs[^1].TrainingLoss);
    }

    /// <summary>Cached features equal those that the layers before the head compute each time.</summary>
    [TestMethod]
    public void Cached_features_train_the_same_head()
    {
        var data = FashionMnistData.Train(_context, 300);
        using var cached = Fit(data, o => o.FreezeBackboneEpochs = 3);
        // An augmentation that never changes anything disables the cache.
        using var computed = Fit(
            data, o => (o.FreezeBackboneEpochs, o.Augmentation) = (3, Augmentation.None with { ErasingProbability = 1e-30 }));
        Assert.AreNotEqual(Augmentation.None, Augmentation.None with { ErasingProbability = 1e-30 });
        foreach (var (a, b) in cached.History.Epochs.Zip(computed.History.Epochs))
        {
            Assert.AreEqual(a.TrainingLoss, b.TrainingLoss, 1e-5);
            Assert.AreEqual(a.ValidationLoss!.Value, b.ValidationLoss!.Value, 1e-5);
            Assert.AreEqual(a.AveragedValidationLoss!.Value, b.AveragedValidationLoss!.Value, 1e-5);
        }
    }

    [TestMethod]
    public void Frozen_layers_thaw()
    {
        using var scope = NewDisposeScope();
        using var model = Fit(FashionMnistData.Train(_context, 300), o => o.FreezeBackboneEpochs = 1);
        using var initial = Initial();
        using var trained = model.CopyNetwork();
        foreach (var ((name, before), (_, after)) in initial.State().Zip(trained.State()))
            Assert.IsFalse(before.Equals(after), name);
    }

    [TestMethod]
    public void Frozen_batch_norm_keeps_statistics_and_parameters()
    {
        using var scope = NewDisposeScope();
        using var model = Fit(FashionMnistData.Train(_context, 300), o => o.FreezeBatchNorm = true);
        using var initial = Initial();
        using var trained = model.CopyNetwork();
        foreach (var ((name, before), (_, after)) in initial.State().Zip(trained.State()))
            Assert.AreEqual(
                name.Contains("bn", StringComparison.Ordinal) || name.Contains("downsample.1", StringComparison.Ordinal),
                before.Equals(after), name);
    }

    [TestMethod]
    public void Rates_shrink_by_one_factor_a_layer_from_the_head_to_the_stem()
    {
        using var network = ArchitectureTests.Create(Network, new(32, 32, 3), classes: 3);
        using var weights = new WorkingWeights(network, CPU, ScalarType.Float32);
        var factors = weights.Names.Zip(LayerWiseDecay.Factors(weights, 0.5)).ToDictionary(f => f.First, f => f.Second);
        Assert.AreEqual(1, factors["fc.weight"]);
        Assert.AreEqual(1, factors["fc.bias"]);
        Assert.AreEqual(0.5, factors["layer4.1.conv2.weight"]);
        Assert.AreEqual(0.5, factors["layer4.1.bn1.bias"]);
        Assert.AreEqual(0.25, factors["layer4.0.conv1.weight"]);
        Assert.AreEqual(Math.Pow(0.5, 9), factors["conv1.weight"]);
        Assert.AreEqual(Math.Pow(0.5, 9), factors["bn1.weight"]);
    }

    /// <summary>If the learning rate of the stem is almost 0, the stem does not change, although its gradient is not 0.</summary>
    [TestMethod]
    public void Layers_move_at_their_rates()
    {
        using var scope = NewDisposeScope();
        using var model = Fit(FashionMnistData.Train(_context, 300), o => (o.LayerDecay, o.WeightAveraging) = (1e-4, WeightAveraging.None));
        using var initial = Initial();
        using var trained = model.CopyNetwork();
        var moved = initial.State().Zip(trained.State()).Where(e => e.First.Tensor.is_floating_point())
            .ToDictionary(e => e.First.Name, e => (e.First.Tensor - e.Second.Tensor).abs().max().item<float>());
        Assert.AreEqual(0, moved["conv1.weight"]);
        Assert.IsGreaterThan(1e-3f, moved["fc.weight"]);
        Assert.IsLessThan(1e-5f, moved["layer4.1.conv2.weight"]);
        Assert.IsGreaterThan(0f, moved["layer4.1.conv2.weight"]);
    }

    [TestMethod]
    public void Interrupted_run_continues_with_the_same_bits()
    {
        var data = FashionMnistData.Train(_context, 300);
        using var whole = Fit(data, o => (o.FreezeBackboneEpochs, o.Epochs) = (2, 4));
        foreach (var stop in new[] { 1, 2, 3 })
        {
            var folder = Directory.CreateTempSubdirectory("flooding-");
            void Configure(FloodedImageClassificationTrainer.Options o) =>
                (o.FreezeBackboneEpochs, o.Epochs, o.CheckpointDirectory) = (2, 4, folder.FullName);
            Assert.ThrowsExactly<TimeoutException>(() => Fit(data, o =>
            {
                Configure(o);
                o.MetricsCallback = m =>
                {
                    if (m.Epoch == stop)
                        throw new TimeoutException();
                };
            }));
            using var resumed = Fit(data, Configure);
            CollectionAssert.AreEqual(SavedModel.Weights(_context, whole, data.Schema), SavedModel.Weights(_context, resumed, data.Schema));
            folder.Delete(recursive: true);
        }
    }

    [TestMethod]
    public void Layers_that_are_not_known_cannot_be_frozen()
    {
        var architecture = Architecture.FromFactory(
            "fine-tuning", (classes, channels) => nn.Sequential(nn.Flatten(), nn.Linear(784 * channels, classes)));
        var e = Assert.ThrowsExactly<ArgumentException>(() =>
            ShortRun.Fit(
                _context, FashionMnistData.Train(_context, 50), o => (o.Architecture, o.FreezeBackboneEpochs) = (architecture, 1)));
        StringAssert.Contains(e.Message, nameof(TrainingOptions.FreezeBackboneEpochs));
        StringAssert.Contains(e.Message, "factory:fine-tuning");
    }

    private FloodedImageClassificationTransformer Fit(IDataView data, Action<FloodedImageClassificationTrainer.Options> change) =>
        ShortRun.Fit(_context, data, o =>
        {
            (o.Architecture, o.Epochs, o.LearningRate) = (Network, 3, 0.05);
            change(o);
        });

    /// <summary>The initial weights of a run with the seed of <see cref="ShortRun"/>.</summary>
    private static Network Initial()
    {
        using var generator = RandomStreams.Create(1, RandomStreams.Purpose.Weights, 0);
        return Network.Create(new(28, 28, 1), 10, generator);
    }
}
