using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Tests.Pipeline;

namespace Microsoft.ML.Flooding.Tests.Distribution;

/// <summary>What the process of a Fit does while others train for it.</summary>
[TestClass]
public sealed class ClusterTests
{
    private string _folder = "";

    [TestInitialize]
    public void CreateFolder() => _folder = Directory.CreateTempSubdirectory("flooding-cluster-").FullName;

    [TestCleanup]
    public void DeleteFolder() => Directory.Delete(_folder, recursive: true);

    public static IEnumerable<object[]> Settings =>
    [
        ["a validation set of its own, weights, groups", Options(o =>
        {
            (o.ValidationSet, o.ValidationSetFraction) = (FashionMnistData.Test(new MLContext(), 60), null);
            (o.ExampleWeightColumnName, o.SamplingKeyColumnName) = (null, nameof(FashionMnistData.Row.Id));
            o.ClassWeights = ClassWeights.Balanced;
            o.Objective = FloodingObjective.AdaFlood();
        })],
        ["no validation", Options(o => (o.ValidationSetFraction, o.FloodLevel) = (null, 0.2f))],
        ["convolutions in bfloat16, augmented", Options(o =>
        {
            (o.Architecture, o.Precision) = (Architecture.ConvNet.WithBaseWidth(4), Precision.BFloat16);
            o.Augmentation = new Augmentation { FlipProbability = 0.5, CropPadding = 2 };
            (o.WeightAveraging, o.Schedule) = (WeightAveraging.None, LearningRateSchedule.Cosine with { WarmUpEpochs = 0.5 });
        })],
        ["a level for each class", Options(o =>
        {
            o.Objective = FloodingObjective.ClassWise(0.1f, 0.2f, 0.3f, 0.1f, 0.2f, 0.3f, 0.1f, 0.2f, 0.3f, 0.4f);
            o.EarlyStopping = new EarlyStopping { Metric = ValidationMetric.LogLoss, Patience = 2, MinimumChange = 0.01 };
        })],
        ["wrong labels", Options(o => (o.Objective, o.FloodLevel) = (FloodingObjective.NoisyLabels(0.2), 0.1f))],
        ["smooth labels", Options(o => (o.Objective, o.FloodLevel) = (FloodingObjective.LabelSmoothing(0.05), 0))],
    ];

    private static FloodedImageClassificationTrainer.Options Options(Action<FloodedImageClassificationTrainer.Options>? change = null)
    {
        var options = new FloodedImageClassificationTrainer.Options
        {
            Epochs = 3,
            BatchSize = 32,
            Architecture = Architecture.Mlp.WithHiddenSizes(32),
            ValidationSetFraction = 0.2,
            Seed = 5,
        };
        change?.Invoke(options);
        return options;
    }

    private static FloodedImageClassificationTransformer Fit(
        FloodedImageClassificationTrainer.Options options, TrainingCluster? cluster = null, List<string>? warnings = null)
    {
        var context = new MLContext();
        context.Log += (_, e) =>
        {
            if (e.Kind == Microsoft.ML.Runtime.ChannelMessageKind.Warning)
                warnings?.Add(e.Message);
        };
        options.Cluster = cluster;
        return context.Transforms.FloodedImageClassification(options).Fit(FashionMnistData.Train(context, 200));
    }

    private static float[] Scores(FloodedImageClassificationTransformer model) =>
        [.. model.Transform(FashionMnistData.Test(new MLContext(), 50)).GetColumn<float[]>("Score").SelectMany(s => s)];

    [TestMethod]
    [DynamicData(nameof(Settings))]
    public void A_run_is_the_same_in_another_process(string name, FloodedImageClassificationTrainer.Options options)
    {
        using var here = Fit(options);
        var metrics = new List<EpochMetrics>();
        options.MetricsCallback = metrics.Add;
        using var there = Fit(options, new FakeCluster());
        CollectionAssert.AreEqual(Scores(here), Scores(there), name);
        CollectionAssert.AreEquivalent(here.History.Settings.ToArray(), there.History.Settings.ToArray());
        CollectionAssert.AreEqual(there.History.Epochs.ToArray(), metrics);
    }

    [TestMethod]
    public void Pretrained_weights_are_sent()
    {
        using var first = Fit(Options());
        FloodedImageClassificationTransformer Continue(TrainingCluster? cluster)
        {
            var context = new MLContext();
            return context.Transforms.FloodedImageClassification(Options(o => o.Cluster = cluster))
                .Fit(FashionMnistData.Train(context, 200), first);
        }
        using var here = Continue(null);
        using var there = Continue(new FakeCluster());
        CollectionAssert.AreEqual(Scores(here), Scores(there));
    }

    [TestMethod]
    public void A_run_that_fails_three_times_leaves_the_results_of_the_others()
    {
        FloodedImageClassificationTrainer.Options Search(string? checkpoints) => Options(o =>
            (o.FloodLevels, o.Objective, o.CheckpointDirectory) =
                (FloodLevels.Create(0, 1, 2), FloodingObjective.IndividualFlood, checkpoints));
        using var alone = Fit(Search(null));

        var broken = new FakeCluster(name => name == "level-1" ? "the disk is full" : null);
        var warnings = new List<string>();
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Fit(Search(_folder), broken, warnings));
        StringAssert.StartsWith(error.Message, "Workers failed 3 times to train 'level-1'. Worker 'fake': the disk is full");
        StringAssert.Contains(error.Message, "CheckpointDirectory: Fit continues from them");
        Assert.HasCount(3, broken.Trained.Where(name => name == "level-1"));
        Assert.HasCount(3, warnings.Where(text => text.Contains("the disk is full", StringComparison.Ordinal)));
        foreach (var other in new[] { "level-0", "level-2" })
            Assert.HasCount(1, broken.Trained.Where(name => name == other), other);

        var repaired = new FakeCluster();
        using var model = Fit(Search(_folder), repaired);
        CollectionAssert.AreEqual(new[] { "level-1" }, repaired.Trained.ToArray());
        CollectionAssert.AreEqual(Scores(alone), Scores(model));
        Assert.AreEqual(alone.FloodLevel, model.FloodLevel);
    }

    [TestMethod]
    public void A_search_that_is_stopped_keeps_what_it_has_and_goes_on_later()
    {
        using var stop = new CancellationTokenSource();
        FloodedImageClassificationTrainer.Options Search(CancellationToken token) => Options(o =>
        {
            (o.FloodLevels, o.Objective) = (FloodLevels.Create(0, 0.5f, 1), FloodingObjective.IndividualFlood);
            (o.CheckpointDirectory, o.StopToken, o.Epochs) = (_folder, token, 20);
        });
        var cluster = new FakeCluster
        {
            Beginning = name =>
            {
                if (name == "level-0.5")
                    stop.Cancel();
            },
        };
        using (var stopped = Fit(Search(stop.Token), cluster))
        {
            Assert.IsTrue(stopped.History.Stopped);
            Assert.IsLessThan(3, stopped.Trials.Count);
        }
        using var model = Fit(Search(CancellationToken.None), new FakeCluster());
        Assert.HasCount(3, model.Trials);
        Assert.IsFalse(model.History.Stopped);
        using var alone = Fit(Search(CancellationToken.None) is var options ? Change(options) : null!);
        CollectionAssert.AreEqual(Scores(alone), Scores(model));

        static FloodedImageClassificationTrainer.Options Change(FloodedImageClassificationTrainer.Options options)
        {
            options.CheckpointDirectory = null;
            return options;
        }
    }

    [TestMethod]
    public void Progress_shows_each_run_to_its_end()
    {
        var reports = new List<ClusterRun[]>();
        var cluster = new FakeCluster { Progress = new Recorder(reports) };
        using var model = Fit(Options(o => o.FloodLevels = FloodLevels.Create(0, 3)), cluster);
        Assert.AreEqual(ClusterRunState.Waiting, reports[0][0].State);
        Assert.IsTrue(reports.Any(runs => runs[0] is { State: ClusterRunState.Running, Worker: "fake", Last.Epoch: 2 }));
        foreach (var run in reports[^1])
            Assert.AreEqual($"{run.Name}: Done on fake, 3 of 3 epochs", run.ToString());
        CollectionAssert.AreEquivalent(new[] { "level-0", "level-3" }, reports[^1].Select(run => run.Name).ToArray());
    }

    [TestMethod]
    public void What_cannot_be_sent_is_refused_by_name()
    {
        Refused(o => o.Callbacks = [new Callback()], "Callbacks are called in every step. Use MetricsCallback, or unset Cluster.");
        Refused(o => o.Objective = FloodingObjective.FromFunction("mean", l => l.mean()), "the Objective is a function");
        Refused(o => o.Schedule = LearningRateSchedule.FromFunction("one", _ => 1), "the Schedule is a function");
        Refused(
            o => o.EarlyStopping = new EarlyStopping { Metric = ValidationMetric.FromFunction("own", (_, _) => 1, true) },
            "the metric 'own' is a function");
        Refused(o => o.FloodLevels = FloodLevels.Create(0, 1) with { Pruning = true }, "FloodLevels.Pruning compares a run");
        Refused(o => o.CacheOnDisk = false, "CacheOnDisk is false");
        Refused(o => o.DataParallel = DataParallel.Mpi(), "DataParallel trains each run by processes of its own");

        static void Refused(Action<FloodedImageClassificationTrainer.Options> change, string text)
        {
            var options = Options(change);
            options.Cluster = new FakeCluster();
            var error = Assert.ThrowsExactly<ArgumentException>(() => new MLContext().Transforms.FloodedImageClassification(options));
            StringAssert.StartsWith(error.Message, "Cluster is set, but ");
            StringAssert.Contains(error.Message, text);
        }
    }

    private sealed class Callback : TrainingCallback;

    private sealed class Recorder(List<ClusterRun[]> reports) : IProgress<IReadOnlyList<ClusterRun>>
    {
        public void Report(IReadOnlyList<ClusterRun> value) => reports.Add([.. value]);
    }
}
