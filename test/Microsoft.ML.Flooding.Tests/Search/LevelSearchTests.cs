using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Tests.Pipeline;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Search;

[TestClass]
public sealed class LevelSearchTests
{
    private static readonly float[] Levels = [0, 0.02f, 0.2f, 0.5f, 1.5f];

    private static FloodedImageClassificationTrainer.Options Options(Action<FloodedImageClassificationTrainer.Options>? change = null)
    {
        var options = new FloodedImageClassificationTrainer.Options
        {
            Epochs = 6,
            BatchSize = 32,
            LearningRate = 0.02,
            Architecture = Architecture.Mlp,
            ValidationSetFraction = 0.2,
            Seed = 5,
            FloodLevels = FloodLevels.Create(Levels) with { Metric = ValidationMetric.LogLoss },
            EarlyStopping = null,
        };
        change?.Invoke(options);
        return options;
    }

    private static FloodedImageClassificationTransformer Fit(MLContext context, FloodedImageClassificationTrainer.Options options) =>
        context.MulticlassClassification.Trainers.FloodedImageClassification(options).Fit(FashionMnistData.Train(context, 300));

    private static EpochMetrics[] Comparable(TrainingHistory history) => [.. history.Epochs.Select(e => e with { ImagesPerSecond = 0 })];

    private static float[] Scores(MLContext context, FloodedImageClassificationTransformer model) =>
        [.. model.Transform(FashionMnistData.Test(context, 50)).GetColumn<float[]>("Score").SelectMany(s => s)];

    public static IEnumerable<object[]> Settings =>
    [
        ["sgd", Options()],
        ["adam, stopped early, no averaging", Options(o =>
        {
            (o.Optimizer, o.LearningRate) = (Optimizer.AdamW, 0.002);
            o.EarlyStopping = new EarlyStopping { Metric = ValidationMetric.LogLoss, Patience = 2 };
            o.WeightAveraging = WeightAveraging.None;
        })],
        ["cosine, averaged, augmented", Options(o =>
        {
            o.Schedule = LearningRateSchedule.Cosine;
            o.Augmentation = new Augmentation { MixupAlpha = 0.2 };
            o.EarlyStopping = new EarlyStopping { Metric = ValidationMetric.LogLoss, Patience = 3 };
        })],
        ["dropout of the application's own", Options(o =>
        {
            o.Architecture = Architecture.FromFactory("search-dropout", (classes, channels) =>
                nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(784 * channels, 32), nn.ReLU(), nn.Linear(32, classes)));
        })],
        ["individual flood, which shares nothing", Options(o => o.Objective = FloodingObjective.IndividualFlood)],
    ];

    [TestMethod]
    [DynamicData(nameof(Settings))]
    public void Every_trial_is_its_own_separate_run_to_the_bit(string name, FloodedImageClassificationTrainer.Options options)
    {
        var context = new MLContext();
        using var found = Fit(context, options);
        CollectionAssert.AreEqual(Levels, found.Trials.Select(t => t.FloodLevel).ToArray());
        foreach (var trial in found.Trials)
        {
            using var separate = Fit(context, Separate(options, trial.FloodLevel));
            CollectionAssert.AreEqual(Comparable(separate.History), Comparable(trial.History), $"{name}, level {trial.FloodLevel}");
            Assert.AreEqual(separate.History.SelectedEpoch, trial.History.SelectedEpoch);
            Assert.AreEqual(separate.History.AveragedWeights, trial.History.AveragedWeights);
            if (trial.FloodLevel == found.FloodLevel)
                CollectionAssert.AreEqual(Scores(context, separate), Scores(context, found));
        }
        var best = found.Trials.OrderBy(t => t.ValidationLoss).ThenBy(t => t.FloodLevel).First();
        Assert.AreEqual(best.FloodLevel, found.FloodLevel);
        if (options.Objective == FloodingObjective.Flood)
            Assert.IsTrue(
                found.Trials.Single(t => t.FloodLevel == 0.02f).SharedEpochs > found.Trials.Single(t => t.FloodLevel == 1.5f).SharedEpochs);
    }

    private static FloodedImageClassificationTrainer.Options Separate(FloodedImageClassificationTrainer.Options search, float level)
    {
        var options = search.Clone();
        options.FloodLevels = null;
        options.FloodLevel = level;
        options.WeightAveraging ??= WeightAveraging.Exponential;
        return options;
    }

    [TestMethod]
    public void A_search_that_was_stopped_continues_with_the_same_bits()
    {
        var folder = Directory.CreateTempSubdirectory("flooding-search-").FullName;
        try
        {
            var context = new MLContext();
            using var undisturbed = Fit(context, Options());
            // The search is stopped repeatedly: in the plain run, in branches, and between them.
            var reported = 0;
            FloodedImageClassificationTransformer? continued = null;
            for (var limit = 3; continued is null; limit = 7)
            {
                Assert.IsLessThan(60, reported);
                var left = limit;
                try
                {
                    continued = Fit(context, Options(o =>
                    {
                        o.CheckpointDirectory = folder;
                        o.MetricsCallback = _ =>
                        {
                            reported++;
                            if (left-- == 0)
                                throw new OperationCanceledException();
                        };
                    }));
                }
                catch (OperationCanceledException)
                {
                }
            }
            Assert.IsGreaterThan(8, reported);
            Assert.AreEqual(undisturbed.FloodLevel, continued.FloodLevel);
            foreach (var (expected, actual) in undisturbed.Trials.Zip(continued.Trials))
            {
                CollectionAssert.AreEqual(Comparable(expected.History), Comparable(actual.History), $"level {expected.FloodLevel}");
                Assert.AreEqual(expected.SharedEpochs, actual.SharedEpochs);
            }
            CollectionAssert.AreEqual(Scores(context, undisturbed), Scores(context, continued));
            continued.Dispose();
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(4)]
    [DataRow(9)]
    public void A_search_that_is_stopped_keeps_the_best_run_so_far_and_continues_with_the_same_bits(int epochs)
    {
        var folder = Directory.CreateTempSubdirectory("flooding-search-").FullName;
        try
        {
            var context = new MLContext();
            using var stop = new CancellationTokenSource();
            var reported = 0;
            using var stopped = Fit(context, Options(o =>
            {
                o.CheckpointDirectory = folder;
                o.StopToken = stop.Token;
                o.MetricsCallback = _ =>
                {
                    if (++reported == epochs)
                        stop.Cancel();
                };
            }));
            Assert.IsTrue(stopped.History.Stopped);
            Assert.IsLessThan(Levels.Length, stopped.Trials.Count);
            Assert.IsTrue(stopped.Trials.Any(t => t.FloodLevel == 0));
            Assert.IsTrue(stopped.Trials.Any(t => t.History.Stopped));
            var best = stopped.Trials.Single(t => t.FloodLevel == stopped.FloodLevel);
            Assert.AreEqual(stopped.Trials.Min(t => t.ValidationLoss), best.ValidationLoss);
            Assert.IsTrue(Scores(context, stopped).All(float.IsFinite));

            using var undisturbed = Fit(context, Options());
            using var continued = Fit(context, Options(o => o.CheckpointDirectory = folder));
            Assert.IsFalse(continued.History.Stopped);
            foreach (var (expected, actual) in undisturbed.Trials.Zip(continued.Trials))
                CollectionAssert.AreEqual(Comparable(expected.History), Comparable(actual.History), $"level {expected.FloodLevel}");
            CollectionAssert.AreEqual(Scores(context, undisturbed), Scores(context, continued));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    [DataRow("flood")]
    [DataRow("individual flood")]
    public void A_level_that_diverges_is_a_trial_that_failed_and_the_others_go_on(string objective)
    {
        var context = new MLContext();
        var warnings = new List<string>();
        context.Log += (_, e) => warnings.AddRange(e.Kind == Microsoft.ML.Runtime.ChannelMessageKind.Warning ? [e.Message] : []);
        // At such a level, all steps are ascent.
        const float Absurd = 1e30f;
        using var found = Fit(context, Options(o =>
        {
            o.FloodLevels = FloodLevels.Create(0.02f, Absurd);
            o.LearningRate = 0.05;
            o.Epochs = 40;
            o.Objective = objective == "flood" ? FloodingObjective.Flood : FloodingObjective.IndividualFlood;
        }));
        CollectionAssert.AreEqual(new[] { 0, 0.02f, Absurd }, found.Trials.Select(t => t.FloodLevel).ToArray());
        var failed = found.Trials[^1];
        StringAssert.Contains(failed.Failure!, "diverged in epoch");
        Assert.IsNull(failed.ValidationLoss);
        Assert.IsFalse(failed.Pruned);
        Assert.IsTrue(found.Trials.Take(2).All(t => t.Failure is null && t.History.Epochs.Count == 40));
        Assert.AreNotEqual(Absurd, found.FloodLevel);
        Assert.IsTrue(Scores(context, found).All(float.IsFinite));
        Assert.IsTrue(warnings.Any(w => w.Contains("diverged", StringComparison.Ordinal)));

        var data = FashionMnistData.Train(context, 10);
        using var loaded = (FloodedImageClassificationTransformer)SavedModel.Load(SavedModel.Save(context, found, data.Schema));
        Assert.AreEqual(failed.Failure, loaded.Trials[^1].Failure);
        StringAssert.Contains(Microsoft.ML.Flooding.Reports.HtmlReport.Of(loaded.History, new ReportOptions(), 860, 400), "diverged");
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void A_search_in_which_every_run_diverges_is_an_error(bool adaptive)
    {
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Fit(new MLContext(), Options(o =>
        {
            o.LearningRate = 1e30;
            if (adaptive)
                o.FloodLevels = FloodLevels.Adaptive;
        })));
        StringAssert.Contains(error.Message, "Every run");
        StringAssert.Contains(error.Message, "LearningRate");
    }

    [TestMethod]
    public void Levels_that_adapt_come_from_the_plain_run_and_are_exact_as_well()
    {
        var context = new MLContext();
        using var found = Fit(context, Options(o => o.FloodLevels = FloodLevels.Adaptive with { Metric = ValidationMetric.Accuracy }));
        var plain = found.Trials[0];
        Assert.AreEqual(0, plain.FloodLevel);
        Assert.IsGreaterThan(3, found.Trials.Count);
        var loss = plain.History.Epochs.MinBy(e => e.ValidationLoss)!.TrainingLoss;
        Assert.AreEqual(loss, found.Trials[^1].FloodLevel, 0.06 * loss);
        var best = found.Trials.OrderByDescending(t => t.ValidationAccuracy).ThenBy(t => t.FloodLevel).First();
        Assert.AreEqual(best.FloodLevel, found.FloodLevel);
        using var separate = Fit(context, Separate(Options(), found.Trials[^1].FloodLevel));
        CollectionAssert.AreEqual(Comparable(separate.History), Comparable(found.Trials[^1].History));
    }

    [TestMethod]
    public void Trials_are_saved_with_the_model()
    {
        var context = new MLContext();
        using var found = Fit(context, Options());
        using var file = new MemoryStream();
        context.Model.Save(found, FashionMnistData.Train(context, 10).Schema, file);
        var loaded = (FloodedImageClassificationTransformer)new MLContext().Model.Load(file, out _);
        Assert.AreEqual(found.FloodLevel, loaded.FloodLevel);
        Assert.HasCount(Levels.Length, loaded.Trials);
        CollectionAssert.AreEqual(Comparable(found.Trials[2].History), Comparable(loaded.Trials[2].History));
        Assert.AreEqual(found.History.Settings["BatchSize"], loaded.History.Settings["BatchSize"]);
        loaded.Dispose();
    }

    [TestMethod]
    public void Hopeless_runs_are_stopped_only_where_that_was_asked_for()
    {
        var context = new MLContext();
        using var pruned = Fit(
            context, Options(o => o.FloodLevels = FloodLevels.Create(0.02f, 0.5f, 1.0f, 1.5f, 1.6f) with { Pruning = true }));
        Assert.IsTrue(pruned.Trials.Any(t => t.Pruned));
        Assert.IsTrue(pruned.Trials.All(t => t.Pruned == t.History.Epochs.Count < 6));
        Assert.IsFalse(pruned.Trials.Single(t => t.FloodLevel == pruned.FloodLevel).Pruned);
        using var whole = Fit(context, Options());
        Assert.IsTrue(whole.Trials.All(t => !t.Pruned && t.History.Epochs.Count == 6));
    }

    [TestMethod]
    public void Levels_are_what_they_say()
    {
        CollectionAssert.AreEqual(
            new[] { 0, 0.01f, 0.02f, 0.03f, 0.04f, 0.05f, 0.06f, 0.07f, 0.08f, 0.09f, 0.1f },
            FloodLevels.Range(0, 0.10f, 0.01f).Values!.ToArray());
        CollectionAssert.AreEqual(new[] { 0, 0.1f, 0.5f }, FloodLevels.Create(0.5f, 0.1f, 0.5f).Values!.ToArray());
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => FloodLevels.Range(0, 1, 0));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => FloodLevels.Range(0, 1, 1e-4f));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => FloodLevels.Range(0.2f, 0.1f, 0.1f));
        Assert.ThrowsExactly<ArgumentException>(() => FloodLevels.Create(-1));
        var context = new MLContext();
        Assert.ThrowsExactly<InvalidOperationException>(() => Fit(context, Options(o => o.ValidationSetFraction = null)));
        Assert.ThrowsExactly<ArgumentException>(() => Fit(context, Options(o => o.Objective = FloodingObjective.AdaFlood())));
    }
}
