using Microsoft.ML.Data;
using Options = Microsoft.ML.Flooding.FloodedImageClassificationTrainer.Options;

namespace Microsoft.ML.Flooding.Tests.Pipeline;

/// <summary>Training on cross-fitted targets, through the public API.</summary>
[TestClass]
public sealed class CrossFittedTests
{
    private readonly MLContext _context = new(seed: 1);

    [TestMethod]
    public void The_catalog_trains_on_corrected_targets_and_the_log_tells_of_the_folds()
    {
        List<string> log = [];
        _context.Log += (_, e) => log.Add(e.Message);
        using var model = _context.Transforms.FloodedImageClassification(FloodingObjective.CrossFitted())
            .Fit(FashionMnistData.Train(_context, 20));
        Assert.IsTrue(log.Any(line => line.Contains("Fold 1 of 2: Epoch 1 of 60", StringComparison.Ordinal)));
        Assert.IsTrue(log.Any(line => line.Contains("Held-out predictions by 2 networks", StringComparison.Ordinal)));
        Assert.AreEqual("CrossFitted(weight: 0.7, folds: 2)", model.History.Settings["Objective"]);
    }

    /// <summary>At weight 0 the targets are the labels: the run is the plain run with averaged weights.</summary>
    [TestMethod]
    public void At_weight_0_it_is_plain_training()
    {
        var train = FashionMnistData.Train(_context, 200);
        var plain = Fit(train, o => (o.FloodLevel, o.WeightAveraging) = (0, WeightAveraging.Exponential));
        var fitted = Fit(train, o => o.Objective = FloodingObjective.CrossFitted(weight: 0));
        foreach (var (a, b) in plain.Zip(fitted))
            Assert.AreEqual(a, b, 1e-4);
        var corrected = Fit(train, o => o.Objective = FloodingObjective.CrossFitted(weight: 1));
        Assert.IsGreaterThan(1e-2, plain.Zip(corrected).Max(p => Math.Abs(p.First - p.Second)));
    }

    [TestMethod]
    public void Wrong_labels_are_learned_less()
    {
        var rows = FashionMnistData.Rows("train", 600);
        var random = new Random(1);
        string[] classes = [.. rows.Select(row => row.Class).Distinct()];
        foreach (var row in rows.Where(_ => random.NextDouble() < 0.4))
            row.Class = classes[random.Next(classes.Length)];
        var keys = _context.Transforms.Conversion.MapValueToKey("Label", "Class").Fit(_context.Data.LoadFromEnumerable(rows));
        var train = keys.Transform(_context.Data.LoadFromEnumerable(rows));
        var test = keys.Transform(_context.Data.LoadFromEnumerable(FashionMnistData.Rows("t10k", 300)));
        double Accuracy(Action<Options> change)
        {
            using var model = ShortRun.Fit(_context, train, o =>
            {
                (o.Epochs, o.WeightAveraging, o.EarlyStopping) = (25, WeightAveraging.Exponential, null);
                o.Architecture = Architecture.Mlp.WithHiddenSizes(200);
                change(o);
            });
            return _context.MulticlassClassification.Evaluate(model.Transform(test)).MicroAccuracy;
        }

        var plain = Accuracy(o => o.FloodLevel = 0);
        Assert.IsGreaterThan(plain + 0.03, Accuracy(o => o.Objective = FloodingObjective.CrossFitted()));
        Assert.IsGreaterThan(plain + 0.03, Accuracy(o => o.Objective = FloodingObjective.SelfDistilled()));
        Assert.IsGreaterThan(plain + 0.03, Accuracy(o => o.Objective = FloodingObjective.CrossFitted(0.5, 2, leaveOutSuspects: true)));
    }

    [TestMethod]
    public void Validation_chooses_among_weights_with_shared_predictions()
    {
        var folder = Directory.CreateTempSubdirectory("flooding-weights-");
        try
        {
            var train = FashionMnistData.Train(_context, 200);
            FloodingObjective Objective(params double[] weights) => FloodingObjective.CrossFitted(weights);
            TrainingHistory History(FloodingObjective objective, string? checkpoints = null)
            {
                using var model = ShortRun.Fit(_context, train, o =>
                {
                    (o.Objective, o.CheckpointDirectory) = (objective, checkpoints);
                    o.EarlyStopping = new EarlyStopping { Metric = ValidationMetric.LogLoss };
                });
                return model.History;
            }

            var history = History(Objective(0.3, 1), folder.FullName);
            Assert.HasCount(2, history.Trials);
            Assert.AreEqual(history.Trials.Min(t => t.ValidationLoss), history.ValidationLoss);
            CollectionAssert.AreEquivalent(
                new[] { "candidate-1", "candidate-2", "fold-1", "fold-2" }, folder.GetDirectories().Select(d => d.Name).ToArray());
            foreach (var (trial, weight) in history.Trials.Zip([0.3, 1]))
                Assert.AreEqual(History(FloodingObjective.CrossFitted(weight)).ValidationLoss, trial.ValidationLoss,
                    $"a run at weight {weight}");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [TestMethod]
    public void Choosing_a_weight_needs_validation_data()
    {
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => ShortRun.Fit(
            _context, FashionMnistData.Train(_context, 50),
            o => (o.Objective, o.ValidationSetFraction, o.EarlyStopping) = (FloodingObjective.CrossFitted([0.3, 1]), null, null)));
        StringAssert.Contains(error.Message, "CrossFitted(weight: 0.3 or 1");
        StringAssert.Contains(error.Message, "ValidationSetFraction");
    }

    [TestMethod]
    public void Parameters_out_of_range_mixup_and_levels_are_refused()
    {
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => FloodingObjective.CrossFitted(1.1)).Message, "from 0 to 1");
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => FloodingObjective.CrossFitted(double.NaN));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => FloodingObjective.CrossFitted(0.5, folds: 1));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => FloodingObjective.SelfDistilled(-0.1));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => FloodingObjective.SelfDistilled(teachers: 0));
        Assert.ThrowsExactly<ArgumentException>(() => FloodingObjective.CrossFitted([]));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => FloodingObjective.CrossFitted([0.5, -1]));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => FloodingObjective.AdaFlood([0.5, 2]));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => FloodingObjective.LabelSmoothing(1));
        foreach (var objective in new[]
            {
                FloodingObjective.CrossFitted(), FloodingObjective.SelfDistilled(), FloodingObjective.LabelSmoothing(),
            })
        {
            StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => ShortRun.Fit(
                _context, FashionMnistData.Train(_context, 50),
                o => (o.Objective, o.Augmentation) = (objective, new Augmentation { MixupAlpha = 1 }))).Message, "Mixup");
            StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => ShortRun.Fit(
                _context, FashionMnistData.Train(_context, 50),
                o => (o.Objective, o.FloodLevels) = (objective, FloodLevels.Adaptive))).Message, "level");
        }
    }

    [TestMethod]
    public void Objectives_with_the_same_parameters_are_equal()
    {
        Assert.AreEqual(FloodingObjective.CrossFitted([0.3, 1]), FloodingObjective.CrossFitted([0.3, 1]));
        Assert.AreEqual(FloodingObjective.CrossFitted([0.3, 0.3]), FloodingObjective.CrossFitted(0.3));
        Assert.AreNotEqual(FloodingObjective.CrossFitted(0.3), FloodingObjective.CrossFitted(0.4));
        Assert.AreNotEqual(FloodingObjective.CrossFitted(0.3), FloodingObjective.CrossFitted(0.3, leaveOutSuspects: true));
        Assert.AreNotEqual(FloodingObjective.CrossFitted(0.5), FloodingObjective.AdaFlood(0.5));
        Assert.AreNotEqual(FloodingObjective.CrossFitted(0.5), FloodingObjective.SelfDistilled(0.5));
        Assert.AreNotEqual(FloodingObjective.SelfDistilled(0.5, 2), FloodingObjective.CrossFitted(0.5, 2));
        Assert.AreNotEqual(FloodingObjective.SelfDistilled(0.5, 2), FloodingObjective.SelfDistilled(0.5, 3));
        Assert.AreEqual("SelfDistilled(weight: 0.7, teachers: 2)", FloodingObjective.SelfDistilled().ToString());
    }

    /// <summary>A streamed set gives its rows in another order within a batch; at a rate of almost 0 that changes nothing.</summary>
    [TestMethod]
    public void Streamed_images_and_weights_of_images_and_classes_work()
    {
        var train = FashionMnistData.Train(_context, 120);
        using var model = ShortRun.Fit(_context, train, o =>
        {
            (o.Objective, o.ClassWeights) = (FloodingObjective.CrossFitted(0.5, 2, leaveOutSuspects: true), ClassWeights.Balanced);
            (o.ExampleWeightColumnName, o.CacheOnDisk, o.MaxCacheBytes) = (null, false, 40 * 784);
        });
        using var loaded = (FloodedImageClassificationTransformer)SavedModel.Load(SavedModel.Save(_context, model, train.Schema));
        CollectionAssert.AreEqual(Scores(model), Scores(loaded));
        model.SaveAsOnnx(Path.Combine(Artifacts.Folder("cross-fitted"), "model.onnx"));

        float[] Scores(ITransformer transformer) =>
            [.. transformer.Transform(FashionMnistData.Test(_context, 10)).GetColumn<float[]>("Score").SelectMany(s => s)];
    }

    private double[] Fit(IDataView train, Action<Options> change)
    {
        using var model = ShortRun.Fit(_context, train, o =>
        {
            (o.Epochs, o.EarlyStopping) = (4, null);
            change(o);
        });
        return [.. model.Transform(FashionMnistData.Test(_context, 20)).GetColumn<float[]>("Score")
            .SelectMany(s => s).Select(s => (double)s)];
    }
}
