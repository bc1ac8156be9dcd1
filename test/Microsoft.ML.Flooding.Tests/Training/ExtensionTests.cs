using System.Globalization;
using Microsoft.ML.Flooding.Tests.Pipeline;
using TorchSharp;
using static TorchSharp.torch;
using Options = Microsoft.ML.Flooding.FloodedImageClassificationTrainer.Options;

namespace Microsoft.ML.Flooding.Tests.Training;

/// <summary>Objectives, schedules, metrics and callbacks of a user.</summary>
[TestClass]
public sealed class ExtensionTests
{
    private const int Images = 130;

    private static readonly FloodingObjective Mean = FloodingObjective.FromFunction("mean", losses => losses.mean());

    private readonly MLContext _context = new(seed: 1);

    [TestMethod]
    [DataRow(0f, false)]
    [DataRow(2f, false)]
    [DataRow(2f, true)]
    public void A_function_that_is_the_mean_trains_as_the_built_in_objective(float level, bool weighted)
    {
        void Common(Options options)
        {
            options.FloodLevel = level;
            if (weighted)
                options.ClassWeights = ClassWeights.Create(1, 2, 3, 1, 2, 3, 1, 2, 3, 4);
        }
        using var expected = Fit(Common);
        using var actual = Fit(o =>
        {
            Common(o);
            o.Objective = FloodingObjective.FromFunction("mean", losses => losses.mean(), flooded: true);
        });
        AssertClose(expected.History, actual.History, weighted ? 0.02 : 1e-3);
        Assert.AreEqual(level > 0, actual.History.Epochs[^1].FloodedShare > 0);
    }

    [TestMethod]
    public void A_function_that_is_not_flooded_ignores_the_level()
    {
        using var plain = Fit(o => o.FloodLevel = 0);
        using var ignoring = Fit(o => (o.FloodLevel, o.Objective) = (2, Mean));
        AssertClose(plain.History, ignoring.History, 1e-3);
        Assert.AreEqual(0, ignoring.History.Epochs[^1].FloodedShare);
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(
                () => Fit(o => (o.Objective, o.FloodLevels) = (Mean, FloodLevels.Create(0.1f)))).Message,
            "FromFunction(mean)");
    }

    [TestMethod]
    public void A_function_that_returns_no_scalar_of_the_losses_is_an_error_that_names_it()
    {
        void AssertRefused(string returned, Func<Tensor, Tensor> function)
        {
            var error = Assert.ThrowsExactly<InvalidOperationException>(
                () => Fit(o => o.Objective = FloodingObjective.FromFunction("mine", function)));
            StringAssert.Contains(error.Message, $"The function of the objective 'mine' returned {returned}");
        }
        AssertRefused("a Float32 tensor of shape [64]", losses => losses.mul(2));
        AssertRefused("a Float32 tensor of shape [] without a gradient", losses => losses.mean().detach());
        AssertRefused("a Float64 tensor", losses => losses.to(float64).mean());
        AssertRefused("null", _ => null!);
    }

    [TestMethod]
    public void A_schedule_of_a_function_sets_the_learning_rate()
    {
        // 117 images in batches of 13 are 9 steps an epoch, 18 in all.
        using var model = Fit(o =>
        {
            (o.BatchSize, o.LearningRate) = (13, 0.1);
            o.Schedule = LearningRateSchedule.FromFunction("linear", progress => 1 - progress);
        });
        Assert.AreEqual(0.1 * (1 - 8 / 18.0), model.History.Epochs[0].LearningRate, 1e-12);
        Assert.AreEqual(0.1 * (1 - 17 / 18.0), model.History.Epochs[1].LearningRate, 1e-12);
    }

    [TestMethod]
    [DataRow(double.NaN)]
    [DataRow(-0.5)]
    [DataRow(double.PositiveInfinity)]
    public void A_factor_that_is_none_is_an_error_that_names_the_schedule(double factor)
    {
        var schedule = LearningRateSchedule.FromFunction("mine", progress => progress < 0.5 ? 1 : factor);
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Fit(o => o.Schedule = schedule));
        StringAssert.Contains(
            error.Message, $"The schedule 'mine' returned {factor.ToString(CultureInfo.InvariantCulture)} at a progress of 0.5");
    }

    [TestMethod]
    public void A_metric_that_is_the_accuracy_selects_as_the_built_in_one()
    {
        using var expected = Fit(o => o.EarlyStopping = new EarlyStopping { Metric = ValidationMetric.Accuracy });
        using var actual = Fit(o => o.EarlyStopping = new EarlyStopping { Metric = Share("share", higherIsBetter: true) });
        using var negative = Fit(o => o.EarlyStopping = new EarlyStopping { Metric = Share("errors", higherIsBetter: false) });

        Assert.IsNull(expected.History.ValidationMetric);
        foreach (var epoch in actual.History.Epochs)
        {
            Assert.AreEqual(epoch.ValidationAccuracy!.Value, epoch.ValidationMetric!.Value, 1e-6);
            Assert.AreEqual(epoch.AveragedValidationAccuracy!.Value, epoch.AveragedValidationMetric!.Value, 1e-6);
        }
        Assert.AreEqual(expected.History.SelectedEpoch, actual.History.SelectedEpoch);
        Assert.AreEqual(expected.History.SelectedEpoch, negative.History.SelectedEpoch);
        Assert.AreEqual(actual.History.ValidationAccuracy!.Value, actual.History.ValidationMetric!.Value, 1e-6);
    }

    /// <summary>The metric likes the levels in an order of its own: the highest loss is the best.</summary>
    [TestMethod]
    public void A_search_chooses_by_a_metric_of_ones_own()
    {
        static double Loss(Tensor probabilities, Tensor labels) =>
            probabilities.gather(1, labels.unsqueeze(1)).log().mean().neg().item<float>();
        using var model = Fit(o =>
        {
            o.Epochs = 8;
            o.FloodLevels = FloodLevels.Create(1.5f, 3f) with { Metric = ValidationMetric.FromFunction("highest loss", Loss, true) };
        });
        Assert.HasCount(3, model.Trials);
        Assert.AreEqual(model.Trials.Max(t => t.History.ValidationMetric), model.History.ValidationMetric);
        foreach (var trial in model.Trials)
            Assert.AreEqual(trial.ValidationLoss!.Value, trial.History.ValidationMetric!.Value, 1e-4);
        Assert.AreEqual(model.Trials.MaxBy(t => t.ValidationLoss)!.FloodLevel, model.FloodLevel);
    }

    [TestMethod]
    public void A_metric_that_is_not_finite_is_an_error_that_names_it()
    {
        var metric = ValidationMetric.FromFunction("mine", (_, _) => double.NaN, higherIsBetter: true);
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidOperationException>(
                () => Fit(o => o.EarlyStopping = new EarlyStopping { Metric = metric })).Message,
            "The validation metric 'mine' returned NaN");
    }

    [TestMethod]
    public void Two_metrics_of_ones_own_are_refused()
    {
        var error = Assert.ThrowsExactly<ArgumentException>(() => Fit(o =>
        {
            o.EarlyStopping = new EarlyStopping { Metric = Share("one", true) };
            o.FloodLevels = FloodLevels.Create(0.1f) with { Metric = Share("other", true) };
        }));
        StringAssert.Contains(error.Message, "EarlyStopping.Metric is 'one' and FloodLevels.Metric is 'other'");
    }

    [TestMethod]
    public void A_function_needs_a_name()
    {
        Assert.ThrowsExactly<ArgumentException>(() => FloodingObjective.FromFunction(" ", losses => losses.mean()));
        Assert.ThrowsExactly<ArgumentException>(() => LearningRateSchedule.FromFunction("", _ => 1));
        Assert.ThrowsExactly<ArgumentException>(() => ValidationMetric.FromFunction("\t", (_, _) => 1, true));
        Assert.ThrowsExactly<ArgumentNullException>(() => FloodingObjective.FromFunction("a", null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => LearningRateSchedule.FromFunction("a", null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => ValidationMetric.FromFunction("a", null!, true));
    }

    [TestMethod]
    public void Callbacks_are_called_before_and_after_run_epoch_and_step()
    {
        var log = new Log();
        using var model = Fit(o => (o.BatchSize, o.Callbacks) = (64, [log]));
        CollectionAssert.AreEqual(
            new[]
            {
                "run 0 0 0", "epoch 1 0 0", "step 1 0 0", "step end 1 1 0", "step 1 1 0", "step end 1 2 0", "epoch end 1 2 1",
                "epoch 2 2 1", "step 2 2 1", "step end 2 3 1", "step 2 3 1", "step end 2 4 1", "epoch end 2 4 2", "run end 2 4 2",
            },
            log.Events);
        var contexts = log.Contexts.Distinct().ToArray();
        Assert.HasCount(1, contexts);
        Assert.AreEqual((2, 0.03f, 0.02), (contexts[0].StepsPerEpoch, contexts[0].FloodLevel, contexts[0].LearningRate));
    }

    [TestMethod]
    public void A_callback_that_reads_losses_changes_no_bit_of_the_model()
    {
        using var expected = Fit();
        var losses = new Losses();
        using var actual = Fit(o => o.Callbacks = [losses, losses]);
        foreach (var (name, _) in expected.Model.Shapes)
            CollectionAssert.AreEqual(expected.Model.GetValues(name), actual.Model.GetValues(name));
        var epochs = losses.Values.Chunk(losses.Values.Count / 2).Select(values => values.Average(v => (double)v)).ToArray();
        CollectionAssert.AreEqual(actual.History.Epochs.Select(e => e.TrainingLoss).ToArray(), epochs);
        StringAssert.Contains(Assert.ThrowsExactly<InvalidOperationException>(() => losses.Context!.ReadLoss()).Message, "OnStepEnd");
    }

    [TestMethod]
    public void A_callback_stops_the_training_in_its_step()
    {
        using var stop = new CancellationTokenSource();
        var log = new Log { OnStep = context => { if (context.Step == 3) stop.Cancel(); } };
        using var model = Fit(o => (o.BatchSize, o.Callbacks, o.StopToken) = (13, [log], stop.Token));
        Assert.IsTrue(model.History.Stopped);
        Assert.AreEqual("run end 1 3 1", log.Events[^1]);
    }

    [TestMethod]
    public void Each_run_of_a_search_has_a_context_of_its_own()
    {
        var log = new Log();
        using var model = Fit(o => (o.Epochs, o.FloodLevels, o.Callbacks) = (3, FloodLevels.Create(2f, 3f), [log]));
        CollectionAssert.AreEquivalent(new[] { 0, 2f, 3f }, log.Contexts.Distinct().Select(c => c.FloodLevel).ToArray());
        Assert.AreEqual(3, log.Events.Count(e => e.StartsWith("run end ", StringComparison.Ordinal)));
        foreach (var context in log.Contexts.Distinct())
            CollectionAssert.AreEqual(
                model.Trials.Single(t => t.FloodLevel == context.FloodLevel).History.Epochs.ToArray(), context.Metrics.ToArray());
    }

    [TestMethod]
    public void The_auxiliary_networks_of_AdaFlood_have_no_callbacks()
    {
        var log = new Log();
        using var model = Fit(o => (o.Objective, o.Callbacks) = (FloodingObjective.AdaFlood(folds: 2), [log]));
        Assert.HasCount(1, log.Contexts.Distinct().ToArray());
    }

    [TestMethod]
    public void A_run_that_continues_starts_with_the_epochs_of_the_checkpoint()
    {
        var folder = Directory.CreateTempSubdirectory("flooding-callbacks-").FullName;
        try
        {
            Assert.ThrowsExactly<TimeoutException>(() => Fit(o =>
            {
                o.CheckpointDirectory = folder;
                o.MetricsCallback = _ => throw new TimeoutException();
            }));
            var log = new Log();
            using var model = Fit(o => (o.CheckpointDirectory, o.Callbacks) = (folder, [log]));
            CollectionAssert.AreEqual(new[] { "run 1 2 1", "epoch 2 2 1" }, log.Events[..2]);
            Assert.AreEqual("run end 2 4 2", log.Events[^1]);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    public static IEnumerable<object[]> Throwing => new (string Place, Action<Options, Action> Change)[]
    {
        ("objective", (o, fail) => o.Objective = FloodingObjective.FromFunction("f", losses => { fail(); return losses.mean(); }, true)),
        ("schedule", (o, fail) => o.Schedule = LearningRateSchedule.FromFunction("f", _ => { fail(); return 1; })),
        ("metric", (o, fail) => o.EarlyStopping = new EarlyStopping
        {
            Metric = ValidationMetric.FromFunction("f", (p, _) => { fail(); return p.max().item<float>(); }, true),
        }),
        ("callback", (o, fail) => o.Callbacks = [new Log { OnStep = c => { _ = c.Network.parameters().First().mul(2); fail(); } }]),
        ("run end", (o, fail) => o.Callbacks = [new Log { OnEnd = fail }]),
    }.Select(c => new object[] { c.Place, c.Change });

    [TestMethod]
    [DynamicData(nameof(Throwing))]
    public void An_exception_of_a_user_comes_out_as_it_is_and_no_tensor_is_left(string place, Action<Options, Action> change)
    {
        static long CountLeft(Action action)
        {
            var before = LiveTensors.Count();
            action();
            return LiveTensors.Count() - before;
        }

        Fit().Dispose();
        // TorchSharp's count keeps the tensors that networks make their parameters of.
        var leftAlways = CountLeft(() => Fit().Dispose());
        Assert.AreEqual(leftAlways, CountLeft(() => Fit(o => change(o, () => { })).Dispose()), $"{place}, without an exception");
        var thrown = new TimeoutException();
        var left = CountLeft(() =>
            Assert.AreSame(thrown, Assert.ThrowsExactly<TimeoutException>(() => Fit(o => change(o, () => throw thrown)))));
        Assert.AreEqual(leftAlways, left, $"{place}, with an exception");
    }

    private static ValidationMetric Share(string name, bool higherIsBetter) => ValidationMetric.FromFunction(
        name,
        (probabilities, labels) =>
            probabilities.argmax(1).eq(labels).to(float32).mean().item<float>() * (higherIsBetter ? 1 : -1),
        higherIsBetter);

    private static void AssertClose(TrainingHistory expected, TrainingHistory actual, double tolerance)
    {
        foreach (var (e, a) in expected.Epochs.Zip(actual.Epochs))
        {
            Assert.AreEqual(e.TrainingLoss, a.TrainingLoss, tolerance);
            Assert.AreEqual(e.ValidationLoss!.Value, a.ValidationLoss!.Value, tolerance);
        }
    }

    private FloodedImageClassificationTransformer Fit(Action<Options>? change = null) =>
        ShortRun.Fit(_context, FashionMnistData.Train(_context, Images), change);

    private sealed class Log : TrainingCallback
    {
        public List<string> Events { get; } = [];

        public List<TrainingContext> Contexts { get; } = [];

        public Action<TrainingContext>? OnStep { get; init; }

        public Action? OnEnd { get; init; }

        public override void OnRunStart(TrainingContext context) => Add("run", context);

        public override void OnEpochStart(TrainingContext context) => Add("epoch", context);

        public override void OnStepStart(TrainingContext context) => Add("step", context);

        public override void OnStepEnd(TrainingContext context)
        {
            Add("step end", context);
            OnStep?.Invoke(context);
        }

        public override void OnEpochEnd(TrainingContext context) => Add("epoch end", context);

        public override void OnRunEnd(TrainingContext context)
        {
            Add("run end", context);
            OnEnd?.Invoke();
        }

        private void Add(string name, TrainingContext context)
        {
            Events.Add($"{name} {context.Epoch} {context.Step} {context.Metrics.Count}");
            Contexts.Add(context);
        }
    }

    private sealed class Losses : TrainingCallback
    {
        public List<float> Values { get; } = [];

        public TrainingContext? Context { get; private set; }

        public override void OnStepEnd(TrainingContext context)
        {
            Context = context;
            Values.Add(context.ReadLoss());
            Assert.IsFalse(torch.is_grad_enabled());
        }
    }
}
