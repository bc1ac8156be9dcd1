using Microsoft.ML.Flooding.Tests.Pipeline;
using Options = Microsoft.ML.Flooding.FloodedImageClassificationTrainer.Options;

namespace Microsoft.ML.Flooding.Tests.DataParallelism;

/// <summary>Ranks train what one process trains, and agree about everything. Here a rank is a thread.</summary>
[TestClass]
public sealed class RankTests
{
    private static readonly Architecture Small = Architecture.Mlp.WithHiddenSizes(32);

    private readonly MLContext _context = new(seed: 1);
    private string _folder = "";

    public static IEnumerable<object[]> Objectives =>
    [
        [FloodingObjective.Flood, 0f, 2], [FloodingObjective.Flood, 2f, 3], [FloodingObjective.IndividualFlood, 2f, 2],
        [FloodingObjective.SoftAscentDescent(1), 2f, 2], [FloodingObjective.LabelSmoothing(), 0f, 2],
        [FloodingObjective.AdaFlood([0.1, 0.5], folds: 2), 0f, 2], [FloodingObjective.CrossFitted(leaveOutSuspects: true), 0f, 3],
    ];

    [TestInitialize]
    public void CreateFolder() => _folder = Directory.CreateTempSubdirectory("flooding-ranks-").FullName;

    [TestCleanup]
    public void DeleteFolder() => Directory.Delete(_folder, recursive: true);

    /// <summary>180 images are trained on: mini-batches of 64, 64 and 52, of which three ranks have unequal shares.</summary>
    [TestMethod]
    [DynamicData(nameof(Objectives))]
    public void Ranks_train_as_one_process(FloodingObjective objective, float level, int ranks)
    {
        void Set(Options o) => (o.Objective, o.FloodLevel, o.MaxGradientNorm) = (objective, level, 5);
        var alone = Train(Set);
        AssertSame(alone, OnRanks(ranks, Set));
        if (level > 0 && objective == FloodingObjective.Flood)
            Assert.IsTrue(alone.Any(epoch => epoch.FloodedShare is > 0 and < 1), "the level is reached in some of the steps");
    }

    [TestMethod]
    public void Weights_micro_batches_and_own_metrics_are_those_of_the_whole()
    {
        void Set(Options o)
        {
            o.ClassWeights = ClassWeights.Create([5, .. Enumerable.Repeat(1f, 9)]);
            o.FloodLevel = 2;
            o.EarlyStopping = new EarlyStopping
            {
                Metric = ValidationMetric.FromFunction(
                    "first classes", (probabilities, labels) => (double)probabilities[.., 0].mean() + (double)labels.max(),
                    higherIsBetter: true),
            };
        }

        var alone = Train(Set);
        AssertSame(alone, OnRanks(2, Set));
        AssertSame(alone, OnRanks(2, o =>
        {
            Set(o);
            o.MicroBatchSize = 10;
        }));
    }

    [TestMethod]
    public void A_search_over_levels_is_that_of_one_process()
    {
        void Set(Options o) => o.FloodLevels = FloodLevels.Create(1, 1.7f);
        IReadOnlyList<FloodTrial> Trials(DataParallel? parallel)
        {
            using var model = Fit(o =>
            {
                Set(o);
                o.DataParallel = parallel;
            });
            return model.Trials;
        }

        var alone = Trials(null);
        foreach (var (trials, error) in ThreadGroup.Run(2, Trials))
        {
            Assert.IsNull(error, $"{error}");
            CollectionAssert.AreEqual(
                alone.Select(t => (t.FloodLevel, t.SharedEpochs)).ToArray(), trials!.Select(t => (t.FloodLevel, t.SharedEpochs)).ToArray());
            foreach (var (a, b) in alone.Zip(trials!))
                AssertSame(a.History.Epochs, b.History.Epochs);
        }
    }

    /// <summary>With batch norm, augmentation and mixup, ranks draw their own numbers and still have one model.</summary>
    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void All_ranks_have_one_model_and_a_run_repeats_bit_for_bit(bool cacheOnDisk)
    {
        string[] Bits() => [.. ThreadGroup.Run(3, parallel =>
        {
            using var model = Fit(o =>
            {
                (o.Architecture, o.DataParallel) = (Architecture.Mlp.WithHiddenSizes(32), parallel);
                o.Augmentation = Augmentation.Small with { MixupAlpha = 0.5 };
                (o.CacheOnDisk, o.MaxCacheBytes) = (cacheOnDisk, 40 * 784);
            });
            return BitsOf(model)
                + string.Join(' ', model.History.Epochs.Select(e => $"{e.ValidationLoss:r} {e.TrainingLoss:r} {e.GradientNorm:r}"));
        }).Select(rank => rank.Result ?? $"{rank.Error}")];

        var first = Bits();
        Assert.HasCount(1, first.Distinct().ToArray());
        CollectionAssert.AreEqual(first, Bits());
    }

    [TestMethod]
    public void Statistics_of_batch_norm_are_the_means_of_the_ranks()
    {
        // One step from the statistics 0 and 1, with a momentum of 0.1: the running means are 0.1 times those of the batches.
        float[] Means(DataParallel? parallel)
        {
            using var model = Fit(o =>
            {
                (o.Architecture, o.DataParallel, o.BatchSize) = (Architecture.Mlp.WithHiddenSizes(32), parallel, 200);
                (o.Epochs, o.WeightAveraging, o.ValidationSetFraction) = (1, WeightAveraging.None, null);
            });
            return model.Model.GetValues(model.Model.Shapes.Single(s => s.Key.EndsWith("running_mean", StringComparison.Ordinal)).Key);
        }

        var alone = Means(null);
        Assert.IsTrue(alone.Any(mean => Math.Abs(mean) > 1e-3));
        foreach (var (means, error) in ThreadGroup.Run(4, Means))
        {
            Assert.IsNull(error, $"{error}");
            foreach (var (a, b) in alone.Zip(means!))
                Assert.AreEqual(a, b, 1e-6f);
        }
    }

    /// <summary>Only rank 0 has the folder, as on machines without a shared disk.</summary>
    [TestMethod]
    public void A_run_continues_from_the_checkpoint_of_rank_0()
    {
        (string? Result, Exception? Error)[] Train(int ranks, int epochs, string? folder) => ThreadGroup.Run(ranks, parallel =>
        {
            using var model = Fit(o =>
            {
                (o.Architecture, o.DataParallel, o.Epochs) = (Architecture.Mlp.WithHiddenSizes(32), parallel, epochs);
                (o.WeightAveraging, o.Optimizer) = (new WeightAveraging { Decay = 0.9 }, Optimizer.Adam);
                o.CheckpointDirectory = folder is null ? null : Path.Combine(folder, $"{parallel.Rank}");
            });
            return BitsOf(model);
        });

        var whole = Train(2, 4, null);
        Train(2, 2, _folder);
        Assert.IsFalse(Directory.Exists(Path.Combine(_folder, "1")));
        CollectionAssert.AreEqual(whole, Train(2, 4, _folder));
        StringAssert.Contains(Train(3, 5, _folder)[0].Error!.Message, "DataParallel is Threads (ranks: 3) but was Threads (ranks: 2)");
    }

    [TestMethod]
    public void Ranks_that_differ_are_told_how()
    {
        void AssertTold(string difference, Action<Options> ofLast, IDataView? dataOfLast = null)
        {
            var results = ThreadGroup.Run(3, parallel =>
            {
                var isLast = parallel.Rank == 2;
                using var model = Fit(
                    o =>
                    {
                        o.DataParallel = parallel;
                        if (isLast)
                            ofLast(o);
                    },
                    isLast ? dataOfLast : null);
                return true;
            });
            foreach (var (_, error) in results)
            {
                Assert.IsInstanceOfType<InvalidOperationException>(error);
                StringAssert.StartsWith(error.Message, "Rank 2 differs from rank 0: ");
                StringAssert.Contains(error.Message, difference);
                StringAssert.EndsWith(error.Message, "Give all ranks the same data and options.");
            }
        }

        AssertTold("LearningRate is 0.5 instead of 0.01. ", o => o.LearningRate = 0.5);
        AssertTold("FitTemperature is True instead of False. ", o => o.FitTemperature = true);
        AssertTold("Seed is 2 instead of 1; ", o => o.Seed = 2);
        AssertTold(
            "number of training images is 171 instead of 180; other training images", _ => { }, FashionMnistData.Train(_context, 190));
    }

    /// <summary>The token of any rank stops all of them after the same step.</summary>
    [TestMethod]
    public void One_rank_stops_all()
    {
        var results = ThreadGroup.Run(2, parallel =>
        {
            using var source = new CancellationTokenSource();
            var called = 0;
            using var model = Fit(o =>
            {
                (o.DataParallel, o.StopToken, o.Epochs) = (parallel, source.Token, 50);
                o.MetricsCallback = m =>
                {
                    called++;
                    if (m.Epoch == 2)
                        source.Cancel();
                };
            });
            return (model.History.Stopped, model.History.Epochs.Count, called);
        });
        Assert.AreEqual((true, 2, 2), results[0].Result);
        Assert.AreEqual((true, 2, 0), results[1].Result, "only rank 0 reports");

        var canceled = ThreadGroup.Run(2, parallel =>
        {
            using var model = Fit(o => (o.DataParallel, o.StopToken) = (parallel, new CancellationToken(canceled: parallel.Rank == 1)));
            return true;
        });
        Assert.IsTrue(canceled.All(rank => rank.Error is OperationCanceledException));
    }

    [TestMethod]
    public void After_an_error_the_ranks_have_to_be_started_again()
    {
        var results = ThreadGroup.Run(2, parallel =>
        {
            void Train() => Fit(o => (o.DataParallel, o.MetricsCallback) = (parallel, _ => throw new FormatException("mine"))).Dispose();
            try
            {
                Train();
            }
            catch (FormatException)
            {
                Train();
            }
            return true;
        });
        StringAssert.Contains(results[0].Error!.Message, "End the processes of all ranks and start them again.");
        Assert.IsInstanceOfType<OperationCanceledException>(results[1].Error, "it waited for rank 0");
    }

    [TestMethod]
    public void What_ranks_cannot_share_is_refused()
    {
        string Refused(Action<Options> change, IDataView? data = null) => ThreadGroup.Run(2, parallel =>
        {
            using var model = Fit(
                o =>
                {
                    o.DataParallel = parallel;
                    change(o);
                },
                data);
            return true;
        })[0].Error!.Message;

        StringAssert.Contains(Refused(o => o.Objective = FloodingObjective.ClassWise()), "DataParallel is set, but ClassWise");
        StringAssert.Contains(
            Refused(o => o.Objective = FloodingObjective.FromFunction("largest", losses => losses.max())), "another Objective");
        StringAssert.Contains(
            Refused(o => o.BatchSize = 3), "BatchSize is 3, which 2 ranks share: it must be at least 4, two images for each rank.");
        StringAssert.Contains(
            Refused(o => o.ValidationSetFraction = null, FashionMnistData.Train(_context, 3)),
            "There are 3 images to train on, fewer than two for each of 2 ranks.");
    }

    /// <summary>First only the head is trained, on the features of a frozen network, then all layers.</summary>
    [TestMethod]
    public void Frozen_layers_train_as_in_one_process()
    {
        using var weights = new TemporaryFile(".safetensors");
        Pretrain(weights.Path);
        void Set(Options o) => (o.Architecture, o.PretrainedWeights, o.FreezeBackboneEpochs, o.FreezeBatchNorm)
            = (Small, weights.Path, 2, true);
        AssertSame(Train(Set), OnRanks(2, Set));
    }

    [TestMethod]
    public void Fine_tuning_of_the_last_layer_is_refused()
    {
        using var weights = new TemporaryFile(".safetensors");
        Pretrain(weights.Path);
        var results = ThreadGroup.Run(2, parallel =>
        {
            using var model = Fit(o => (o.Architecture, o.PretrainedWeights, o.Epochs, o.LearningRate, o.DataParallel)
                = (Small, weights.Path, null, null, parallel));
            return true;
        });
        foreach (var (_, error) in results)
        {
            Assert.IsInstanceOfType<ArgumentException>(error, $"{error}");
            StringAssert.StartsWith(error.Message, "DataParallel is set, but FineTuning trains the last layer of pretrained weights");
            StringAssert.EndsWith(error.Message, "Unset DataParallel, or set FineTuning to None to train the whole network.");
        }
    }

    [TestMethod]
    public void Label_issues_are_those_of_one_process()
    {
        LabelIssues Find(DataParallel? parallel)
        {
            var context = new MLContext(seed: 1);
            return context.MulticlassClassification.FindLabelIssues(
                FashionMnistData.Train(context, 120),
                ShortRun.Options(o => (o.Architecture, o.LearningRate, o.DataParallel)
                    = (Architecture.Mlp.WithHiddenSizes(), 0.01, parallel)),
                folds: 2);
        }

        var alone = Find(null).Ranking;
        foreach (var (found, error) in ThreadGroup.Run(2, Find))
        {
            Assert.IsNull(error, $"{error}");
            var byRow = found!.Ranking.ToDictionary(image => image.Row);
            Assert.HasCount(120, byRow);
            foreach (var image in alone)
                Assert.AreEqual(image.SelfConfidence, byRow[image.Row].SelfConfidence, 1e-5, $"row {image.Row}");
        }
    }

    private void Pretrain(string path)
    {
        using var model = ShortRun.Fit(_context, FashionMnistData.Train(_context, 100), o => o.Architecture = Small);
        model.SaveAsSafetensors(path);
    }

    private static string BitsOf(FloodedImageClassificationTransformer model) => string.Join(
        ' ', model.Model.Shapes.SelectMany(s => model.Model.GetValues(s.Key)).Select(BitConverter.SingleToUInt32Bits));

    private static void AssertSame(IReadOnlyList<EpochMetrics> expected, IReadOnlyList<EpochMetrics> actual)
    {
        Assert.HasCount(expected.Count, actual);
        foreach (var (a, b) in expected.Zip(actual))
        {
            Assert.AreEqual(a.TrainingLoss, b.TrainingLoss, 1e-5);
            Assert.AreEqual(a.LowestBatchLoss, b.LowestBatchLoss, 1e-5);
            Assert.AreEqual(a.ValidationLoss!.Value, b.ValidationLoss!.Value, 1e-5);
            Assert.AreEqual(a.ValidationAccuracy, b.ValidationAccuracy);
            Assert.AreEqual(a.ValidationMetric ?? 0, b.ValidationMetric ?? 0, 1e-5);
            Assert.AreEqual(a.FloodedShare, b.FloodedShare, 1e-6);
            Assert.AreEqual(a.GradientNorm, b.GradientNorm, 1e-4);
        }
    }

    private static IReadOnlyList<EpochMetrics> Train(Action<Options> change)
    {
        using var model = Fit(change);
        return model.History.Epochs;
    }

    /// <summary>The history of rank 0, which is that of all ranks.</summary>
    private static IReadOnlyList<EpochMetrics> OnRanks(int count, Action<Options> change)
    {
        var results = ThreadGroup.Run(count, parallel =>
        {
            using var model = Fit(o =>
            {
                change(o);
                o.DataParallel = parallel;
            });
            return (Bits: BitsOf(model), model.History.Epochs);
        });
        foreach (var (result, error) in results)
        {
            Assert.IsNull(error, $"{error}");
            Assert.AreEqual(results[0].Result.Bits, result.Bits);
            CollectionAssert.AreEqual(results[0].Result.Epochs.ToArray(), result.Epochs.ToArray());
        }
        return results[0].Result.Epochs;
    }

    /// <summary>A linear network, without batch norm.</summary>
    private static FloodedImageClassificationTransformer Fit(Action<Options> change, IDataView? data = null)
    {
        // Each rank has a context of its own, as each process does.
        var context = new MLContext(seed: 1);
        return ShortRun.Fit(context, data ?? FashionMnistData.Train(context, 200), o =>
        {
            (o.Architecture, o.Epochs, o.LearningRate) = (Architecture.Mlp.WithHiddenSizes(), 4, 0.01);
            change(o);
        });
    }
}
