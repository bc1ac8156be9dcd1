using System.Reflection;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Tests.DataParallelism;
using Microsoft.ML.Flooding.Tests.Images;
using Microsoft.ML.Flooding.Tests.Pipeline;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Training;

/// <summary>
/// Everything that affects a run is part of its identity. A checkpoint of another run is refused, and the error says why.
/// </summary>
[TestClass]
public sealed class RunIdentityTests
{
    private const int Images = 80;

    private static readonly Normalization Pixels = new([73], [90]);

    /// <summary>Options that only observe a run, and the path of the weights, which the identity contains by value.</summary>
    private static readonly string[] DecidingNothing =
    [
        nameof(TrainingOptions.CheckpointDirectory), nameof(TrainingOptions.MetricsCallback), nameof(TrainingOptions.PretrainedWeights),
        nameof(TrainingOptions.StopToken), nameof(TrainingOptions.Callbacks),
        // It chooses other options, which the identity contains.
        nameof(TrainingOptions.FineTuning),
    ];

    /// <summary>Values that the identity takes from the run, which has the option in its final form.</summary>
    private static readonly string[] Resolved =
        [nameof(TrainingOptions.Architecture), nameof(TrainingOptions.Precision), nameof(TrainingOptions.Seed)];

    private static readonly Dictionary<string, object> Others = new()
    {
        [nameof(TrainingOptions.FloodLevel)] = 0.5f,
        [nameof(TrainingOptions.Objective)] = FloodingObjective.IndividualFlood,
        [nameof(TrainingOptions.FreezeBackboneEpochs)] = 1,
        [nameof(TrainingOptions.LayerDecay)] = 0.5,
        [nameof(TrainingOptions.FreezeBatchNorm)] = true,
        [nameof(TrainingOptions.Epochs)] = 7,
        [nameof(TrainingOptions.BatchSize)] = 7,
        [nameof(TrainingOptions.MicroBatchSize)] = 3,
        [nameof(TrainingOptions.DataParallel)] = ThreadGroup.Run(2, parallel => parallel)[0].Result!,
        [nameof(TrainingOptions.Augmentation)] = Augmentation.Small,
        [nameof(TrainingOptions.Optimizer)] = Optimizer.AdamW,
        [nameof(TrainingOptions.LearningRate)] = 0.5,
        [nameof(TrainingOptions.Schedule)] = LearningRateSchedule.Cosine,
        [nameof(TrainingOptions.Momentum)] = 0.5,
        [nameof(TrainingOptions.Nesterov)] = true,
        [nameof(TrainingOptions.WeightDecay)] = 0.5,
        [nameof(TrainingOptions.DecayBiasAndNorm)] = false,
        [nameof(TrainingOptions.MaxGradientNorm)] = 0.5,
        [nameof(TrainingOptions.WeightAveraging)] = WeightAveraging.None,
        [nameof(TrainingOptions.EarlyStopping)] = new EarlyStopping { MinimumChange = 0.5 },
    };

    private readonly MLContext _context = new(seed: 1);
    private string _folder = "";

    [TestInitialize]
    public void CreateFolder() => _folder = Directory.CreateTempSubdirectory("flooding-identity-").FullName;

    [TestCleanup]
    public void DeleteFolder() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    public void Every_option_is_part_of_it_or_decides_nothing()
    {
        using var scope = NewDisposeScope();
        using var set = ImageSetTests.Load(FashionMnistData.Train(_context, 10));
        using var network = Architecture.Mlp.Create(set.Shape, 10, new Generator(1));
        var data = new TrainingData(set, arange(10), null, null);
        IReadOnlyDictionary<string, string> Identity(TrainingOptions options) =>
            RunIdentity.Compute(options, Architecture.Mlp, network, data, Pixels, ScalarType.Float32, CPU, 1);

        foreach (var property in typeof(TrainingOptions).GetProperties(BindingFlags.Public | BindingFlags.Instance))
        {
            if (DecidingNothing.Contains(property.Name))
                continue;
            Assert.IsTrue(Identity(new()).ContainsKey(property.Name),
                $"{property.Name} is not in {nameof(RunIdentity)}: add it there, or here to the options that decide nothing.");
            if (Resolved.Contains(property.Name))
                continue;
            Assert.IsTrue(Others.TryGetValue(property.Name, out var value), $"Give {property.Name} another value here.");
            var changed = new TrainingOptions();
            property.SetValue(changed, value);
            var difference = RunIdentity.Differences(Identity(changed), Identity(new())).Single();
            StringAssert.StartsWith(difference, $"{property.Name} is ");
        }
    }

    [TestMethod]
    public void Objectives_schedules_and_averages_differ_in_their_parameters()
    {
        using var scope = NewDisposeScope();
        using var set = ImageSetTests.Load(FashionMnistData.Train(_context, 10));
        using var network = Architecture.Mlp.Create(set.Shape, 10, new Generator(1));
        var data = new TrainingData(set, arange(10), null, null);
        string Identity(Action<TrainingOptions> change)
        {
            var options = new TrainingOptions();
            change(options);
            var identity = RunIdentity.Compute(options, Architecture.Mlp, network, data, Pixels, ScalarType.Float32, CPU, 1);
            return string.Join('\n', identity.Select(part => $"{part.Key}: {part.Value}"));
        }

        Action<TrainingOptions>[] changes =
        [
            o => o.Objective = FloodingObjective.AdaFlood(0.5, 3), o => o.Objective = FloodingObjective.AdaFlood(0.25, 3),
            o => o.Objective = FloodingObjective.AdaFlood(0.5, 4), o => o.Objective = FloodingObjective.SoftAscentDescent(2),
            o => o.Objective = FloodingObjective.CrossFitted(0.5, 3), o => o.Objective = FloodingObjective.CrossFitted(0.25, 3),
            o => o.Objective = FloodingObjective.CrossFitted(0.5, 4), o => o.Objective = FloodingObjective.CrossFitted(0.5, 4, true),
            o => o.Objective = FloodingObjective.LabelSmoothing(0.2), o => o.Objective = FloodingObjective.NoisyLabels(0.2),
            o => o.Objective = FloodingObjective.NoisyLabels(0.3),
            o => o.Objective = FloodingObjective.ClassWise(0.1f, 0.2f), o => o.Objective = FloodingObjective.ClassWise(0.1f, 0.3f),
            o => o.Schedule = LearningRateSchedule.Step(0.1, 0.5), o => o.Schedule = LearningRateSchedule.Step(0.1, 0.6),
            o => o.Schedule = LearningRateSchedule.Step(0.2, 0.5), o => o.Schedule = LearningRateSchedule.Cosine with { WarmUpEpochs = 1 },
            o => o.WeightAveraging = new WeightAveraging { Decay = 0.9 }, o => o.WeightAveraging = new WeightAveraging { Decay = 0.99 },
            o => o.EarlyStopping = new EarlyStopping { Patience = 2 }, o => o.EarlyStopping = new EarlyStopping { MinimumChange = 0.1 },
            o => o.Objective = FloodingObjective.FromFunction("a", losses => losses.mean()),
            o => o.Objective = FloodingObjective.FromFunction("b", losses => losses.mean()),
            o => o.Objective = FloodingObjective.FromFunction("a", losses => losses.mean(), flooded: true),
            o => o.Schedule = LearningRateSchedule.FromFunction("a", progress => 1),
            o => o.Schedule = LearningRateSchedule.FromFunction("b", progress => 1),
            o => o.EarlyStopping = new EarlyStopping { Metric = ValidationMetric.Accuracy },
            o => o.EarlyStopping = new EarlyStopping { Metric = ValidationMetric.FromFunction("a", (_, _) => 1, higherIsBetter: true) },
            o => o.EarlyStopping = new EarlyStopping { Metric = ValidationMetric.FromFunction("b", (_, _) => 1, higherIsBetter: true) },
            o => o.Augmentation = new Augmentation { MixupAlpha = 0.1 }, o => o.Augmentation = new Augmentation { MixupAlpha = 0.2 },
        ];
        Assert.HasCount(changes.Length, changes.Select(Identity).Distinct().ToArray());
    }

    /// <summary>Checkpoints hold the values that a search compares, though its metric is no option of a run.</summary>
    [TestMethod]
    public void A_search_by_another_metric_of_ones_own_does_not_continue()
    {
        void FitBy(ValidationMetric metric) => Fit(
            Data(0), Data(1), change: o => o.FloodLevels = FloodLevels.Create(0.1f) with { Metric = metric });
        static ValidationMetric Constant(string name) => ValidationMetric.FromFunction(name, (_, _) => 1, higherIsBetter: true);

        FitBy(Constant("a"));
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => FitBy(Constant("b")));
        StringAssert.Contains(error.Message, "validation metric is b but was a");
    }

    /// <summary>The statistics of the pixels do not distinguish the runs, because they are those of the model.</summary>
    [TestMethod]
    public void A_checkpoint_of_other_training_images_is_refused()
    {
        using var start = ShortRun.Fit(_context, Data(0));
        Fit(Data(0), null, start);
        Assert.AreEqual(0, Fit(Data(0), null, start), "the same images continue, and nothing is left to train");

        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Fit(Data(1), null, start));
        StringAssert.Contains(error.Message, "other training images");
        Assert.IsFalse(error.Message.Contains("labels", StringComparison.Ordinal), error.Message);
    }

    [TestMethod]
    public void A_checkpoint_of_other_validation_images_is_refused()
    {
        Fit(Data(0), Data(1));
        Assert.AreEqual(0, Fit(Data(0), Data(1)));

        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Fit(Data(0), Data(2)));
        StringAssert.Contains(error.Message, "to another run: other validation images. Give");
        error = Assert.ThrowsExactly<InvalidOperationException>(() => Fit(Data(0), Data(1, Images / 2)));
        StringAssert.Contains(error.Message, $"number of validation images is {Images / 2} but was {Images}");
    }

    /// <summary>Data in memory and data in a file have the same order. A stream has its own order.</summary>
    [TestMethod]
    public void A_checkpoint_of_another_order_is_refused()
    {
        Action<FloodedImageClassificationTrainer.Options> streamed = o => (o.CacheOnDisk, o.MaxCacheBytes) = (false, 40 * 784);
        Fit(Data(0), Data(1), change: streamed);
        Assert.AreEqual(0, Fit(Data(0), Data(1), change: streamed));
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Fit(Data(0), Data(1)));
        StringAssert.Contains(error.Message, "order of the training images is shuffled as a whole but was shuffled within blocks of 20");
        error = Assert.ThrowsExactly<InvalidOperationException>(
            () => Fit(Data(0), Data(1), change: o => (o.CacheOnDisk, o.MaxCacheBytes) = (false, 60 * 784)));
        StringAssert.Contains(error.Message, "shuffled within blocks of 30 but was shuffled within blocks of 20");

        Directory.Delete(_folder, recursive: true);
        Fit(Data(0), Data(1));
        Assert.AreEqual(0, Fit(Data(0), Data(1), change: o => o.MaxCacheBytes = 1));
    }

    /// <summary>The labels do not depend on the images.</summary>
    private IDataView Data(int shift, int count = Images)
    {
        var rows = FashionMnistData.Rows("train", count);
        var labels = _context.Data.LoadFromEnumerable(rows.Select((row, i) => new FashionMnistData.Row
        {
            Features = rows[(i + shift) % count].Features,
            Class = row.Class,
        }));
        return _context.Transforms.Conversion.MapValueToKey("Label", nameof(FashionMnistData.Row.Class),
            keyOrdinality: Transforms.ValueToKeyMappingEstimator.KeyOrdinality.ByValue).Fit(labels).Transform(labels);
    }

    /// <summary>The epochs that were trained.</summary>
    private int Fit(
        IDataView data, IDataView? validation, FloodedImageClassificationTransformer? start = null,
        Action<FloodedImageClassificationTrainer.Options>? change = null)
    {
        var epochs = 0;
        var options = ShortRun.Options(o =>
        {
            (o.CheckpointDirectory, o.ValidationSet, o.MetricsCallback) = (_folder, validation, _ => epochs++);
            if (start is not null)
                o.Architecture = Architecture.Auto;
            change?.Invoke(o);
        });
        var trainer = _context.Transforms.FloodedImageClassification(options);
        using var model = start is null ? trainer.Fit(data) : trainer.Fit(data, start);
        return epochs;
    }
}
