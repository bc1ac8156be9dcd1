using System.Globalization;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Search;
using Microsoft.ML.Flooding.Tests.Pipeline;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Transfer;

/// <summary>With pretrained weights and no option that plans the training, Fit plans it.</summary>
[TestClass]
public sealed class HeadSearchTests
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
    public void Nothing_set_trains_the_head_on_all_images_as_cross_validation_chooses()
    {
        var log = new List<string>();
        _context.Log += (_, e) => log.Add(e.Message);
        var data = FashionMnistData.Train(_context, 200);
        using var scope = NewDisposeScope();
        using var model = Fit(data);

        var trial = model.History.HeadTrial!;
        Assert.HasCount(trial.Epochs, model.History.Epochs);
        Assert.AreEqual(trial.LearningRate, model.History.Epochs[0].LearningRate);
        Assert.IsNull(model.History.ValidationLoss);
        Assert.AreEqual("200", model.History.Settings["number of training images"]);
        Assert.IsGreaterThan(0.2, trial.Accuracy);
        // At least one share of wrong labels beside none, and two more learning rates.
        Assert.IsGreaterThanOrEqualTo(4, log.Count(line => line.Contains("Tried learning rate", StringComparison.Ordinal)));
        Assert.IsTrue(log.Any(line => line.Contains($"Chose {trial}", StringComparison.Ordinal)), string.Join('\n', log));

        using var initial = Small.CreateEmpty(new(28, 28, 1), 10);
        PretrainedWeights.Load(initial, Weights.Path, null);
        using var trained = model.CopyNetwork();
        foreach (var ((name, before), (_, after)) in initial.State().Zip(trained.State()))
            Assert.AreEqual(!name.StartsWith("fc.", StringComparison.Ordinal), before.Equals(after), name);
    }

    /// <summary>The classifier of centered features becomes the head of the network.</summary>
    [TestMethod]
    public void The_network_scores_as_the_head_did_in_training()
    {
        var test = FashionMnistData.Test(_context, 150);
        using var model = Fit(FashionMnistData.Train(_context, 200), o => o.ValidationSet = test);
        var metrics = _context.MulticlassClassification.Evaluate(model.Transform(test));
        Assert.AreEqual(model.History.ValidationLoss!.Value, metrics.LogLoss, 1e-4);
        Assert.AreEqual(model.History.ValidationAccuracy!.Value, metrics.MicroAccuracy, 0.01);
    }

    [TestMethod]
    public void Options_that_are_set_win()
    {
        var data = FashionMnistData.Train(_context, 100);
        using var given = Fit(data, o => (o.LearningRate, o.WeightDecay) = (0.05, 0.01));
        Assert.AreEqual(0.05, given.History.HeadTrial!.LearningRate);
        Assert.AreEqual("0.01", given.History.Settings[nameof(TrainingOptions.WeightDecay)]);

        foreach (var change in new Action<FloodedImageClassificationTrainer.Options>[]
        {
            o => o.Epochs = 1, o => (o.Epochs, o.FreezeBackboneEpochs) = (1, 1),
        })
        {
            using var planned = Fit(data, change);
            Assert.IsNull(planned.History.HeadTrial);
            Assert.HasCount(1, planned.History.Epochs);
            Assert.IsNotNull(planned.History.ValidationLoss);
        }
    }

    [TestMethod]
    public void Each_option_that_plans_the_training_leaves_it_to_the_user()
    {
        Assert.IsTrue(new FloodedImageClassificationTrainer.Options().IsLeftToFineTuning);
        foreach (var change in new Action<FloodedImageClassificationTrainer.Options>[]
        {
            o => o.FineTuning = FineTuning.None, o => o.Epochs = 60, o => o.FreezeBackboneEpochs = 1, o => o.LayerDecay = 0.5,
            o => o.FreezeBatchNorm = true, o => o.Augmentation = Augmentation.Small, o => o.Schedule = LearningRateSchedule.Cosine,
            o => o.EarlyStopping = null, o => o.FloodLevels = FloodLevels.Adaptive, o => o.Objective = FloodingObjective.CrossFitted(),
        })
        {
            var options = new FloodedImageClassificationTrainer.Options();
            change(options);
            Assert.IsFalse(options.IsLeftToFineTuning);
        }
    }

    [TestMethod]
    public void A_network_without_pretrained_weights_trains_as_before()
    {
        var data = FashionMnistData.Train(_context, 60);
        using var model = ShortRun.Fit(_context, data, o => (o.Epochs, o.EarlyStopping) = (null, null));
        Assert.HasCount(60, model.History.Epochs);
        Assert.IsNull(model.History.HeadTrial);
    }

    /// <summary>Wrong labels in many dimensions need little training, small differences between classes much of it.</summary>
    [TestMethod]
    public void Two_sets_get_the_rates_that_they_need()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var labels = arange(200).remainder(2);
        // The classes differ clearly, but three labels of ten are wrong and there are more dimensions than images.
        var clear = randn([200, 400], generator: generator) + (labels.unsqueeze(1) * 0.5);
        var wrong = where(arange(200).remainder(10).ge(7), 1 - labels, labels);
        // They differ in a direction in which the features hardly vary.
        var fine = randn([200, 8], generator: generator) * tensor([1f, 1, 1, 1, 1, 1, 1, 0.1f]);
        fine[TensorIndex.Colon, 7] += labels * 0.6;

        var noisy = Choose(clear, wrong);
        var exact = Choose(fine, labels);
        Assert.IsLessThan(exact.LearningRate * exact.Epochs / 10, noisy.LearningRate * noisy.Epochs, $"{noisy}; {exact}");
        Assert.IsGreaterThan(0.95, exact.Accuracy);
    }

    /// <summary>Without anything to learn from, the shares of the classes decide, unless they differ by chance only.</summary>
    [TestMethod]
    [DataRow(170, 30)]
    [DataRow(105, 95)]
    public void Training_starts_from_shares_of_the_classes_that_differ_by_more_than_chance(int first, int second)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        using var set = Features(randn([first + second, 3], generator: generator), arange(first + second).ge(first));
        var runs = Runs(set, classes: 2);
        using var search = new HeadSearch(runs, new TrainingOptions { LearningRate = 1e-30 });
        using var network = runs.CreateNetwork();
        search.Train(null, network, _ => _ => { });
        var difference = (network.Head.bias![0] - network.Head.bias![1]).item<float>();
        // Shrunk by a tenth.
        Assert.AreEqual(first > 2 * second ? 0.9 * Math.Log(171.0 / 31) : 0, difference, 0.05);
    }

    /// <summary>Four classes in eight dimensions, with a share of labels of another class.</summary>
    [TestMethod]
    [DataRow(0.0)]
    [DataRow(0.2)]
    [DataRow(0.4)]
    public void The_share_of_wrong_labels_is_estimated(double share)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var labels = arange(400).remainder(4);
        var features = randn([400, 8], generator: generator) + nn.functional.one_hot(labels, 8) * 5;
        var wrong = (labels + randint(1, 4, [400], ScalarType.Int64, generator: generator)).remainder(4);
        var given = where(arange(400) < (400 * share), wrong, labels);
        var trial = Choose(features, given, classes: 4);
        Assert.AreEqual(share, trial.WrongLabels, $"{trial}");
        Assert.AreEqual(1 - share, trial.Accuracy, 0.03);
    }

    /// <summary>The labels of 160 of 400 images are wrong.</summary>
    [TestMethod]
    public void The_model_is_trained_for_the_share_that_is_estimated()
    {
        var rows = FashionMnistData.Rows("train", 400).ToArray();
        string[] classes = [.. rows.Select(row => row.Class).Distinct()];
        var random = new Random(1);
        foreach (var row in rows.Where((_, i) => i % 5 < 2))
            row.Class = classes[(Array.IndexOf(classes, row.Class) + random.Next(1, classes.Length)) % classes.Length];
        var view = _context.Data.LoadFromEnumerable(rows);
        var data = _context.Transforms.Conversion.MapValueToKey("Label", nameof(FashionMnistData.Row.Class)).Fit(view).Transform(view);
        using var model = Fit(data);
        Assert.IsGreaterThan(0.0, model.History.HeadTrial!.WrongLabels, $"{model.History.HeadTrial}");
        Assert.AreEqual(
            $"NoisyLabels({model.History.HeadTrial.WrongLabels.ToString(CultureInfo.InvariantCulture)})",
            model.History.Settings[nameof(TrainingOptions.Objective)]);

        using var individual = Fit(data, o => o.Objective = FloodingObjective.IndividualFlood);
        Assert.AreEqual(0.0, individual.History.HeadTrial!.WrongLabels);
    }

    [TestMethod]
    public void The_same_seed_gives_the_same_model()
    {
        var data = FashionMnistData.Train(_context, 100);
        using var first = Fit(data);
        using var second = Fit(data);
        CollectionAssert.AreEqual(SavedModel.Weights(_context, first, data.Schema), SavedModel.Weights(_context, second, data.Schema));
    }

    [TestMethod]
    public void A_stopped_run_continues_from_its_checkpoints()
    {
        var folder = Directory.CreateTempSubdirectory("flooding-head-").FullName;
        try
        {
            var data = FashionMnistData.Train(_context, 200);
            using var whole = Fit(data);
            using var stop = new CancellationTokenSource();
            using var stopped = Fit(data, o => (o.CheckpointDirectory, o.StopToken, o.MetricsCallback)
                = (folder, stop.Token, _ => stop.Cancel()));
            Assert.HasCount(1, stopped.History.Epochs);
            Assert.IsTrue(stopped.History.Stopped);
            Assert.IsGreaterThan(1, whole.History.Epochs.Count);
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
    public void Stopping_the_search_gives_the_head_of_the_best_rate_so_far()
    {
        using var stop = new CancellationTokenSource();
        _context.Log += (_, e) =>
        {
            if (e.Message.Contains("Tried", StringComparison.Ordinal))
                stop.Cancel();
        };
        var data = FashionMnistData.Train(_context, 200);
        using var model = Fit(data, o => o.StopToken = stop.Token);
        Assert.IsTrue(model.History.Stopped);
        Assert.AreEqual(0.01, model.History.HeadTrial!.LearningRate);
        Assert.HasCount(model.History.HeadTrial.Epochs, model.History.Epochs);
        Assert.IsGreaterThan(0.2, _context.MulticlassClassification.Evaluate(model.Transform(data)).MicroAccuracy);
    }

    [TestMethod]
    public void The_choice_goes_through_the_zip()
    {
        var data = FashionMnistData.Train(_context, 100);
        using var model = Fit(data);
        using var loaded = (FloodedImageClassificationTransformer)SavedModel.Load(SavedModel.Save(_context, model, data.Schema));
        Assert.AreEqual(model.History.HeadTrial, loaded.History.HeadTrial);
        foreach (var (a, b) in model.Transform(data).GetColumn<float[]>("Score").Zip(loaded.Transform(data).GetColumn<float[]>("Score")))
            CollectionAssert.AreEqual(a, b);
    }

    [TestMethod]
    public void A_temperature_keeps_images_aside()
    {
        using var model = Fit(FashionMnistData.Train(_context, 200), o => o.FitTemperature = true);
        Assert.IsNotNull(model.History.HeadTrial);
        Assert.IsNotNull(model.History.ValidationLoss);
        Assert.AreEqual("180", model.History.Settings["number of training images"]);
    }

    /// <summary>The labels of 60 of 300 images are wrong.</summary>
    [TestMethod]
    public void Label_issues_are_found_on_cached_features()
    {
        var rows = FashionMnistData.Rows("train", 300).ToArray();
        string[] classes = [.. rows.Select(row => row.Class).Distinct()];
        foreach (var row in rows.Where((_, i) => i % 5 == 0))
            row.Class = classes[(Array.IndexOf(classes, row.Class) + 3) % classes.Length];
        var view = _context.Data.LoadFromEnumerable(rows);
        var data = _context.Transforms.Conversion.MapValueToKey("Label", nameof(FashionMnistData.Row.Class)).Fit(view).Transform(view);
        var log = new List<string>();
        _context.Log += (_, e) => log.Add(e.Message);
        var network = Architecture.Mlp.WithHiddenSizes(100);
        using var weights = new TemporaryFile(".safetensors");
        using (var pretrained = ShortRun.Fit(
            _context, FashionMnistData.Train(_context, 1000), o => (o.Architecture, o.Epochs) = (network, 10)))
            pretrained.SaveAsSafetensors(weights.Path);
        var found = _context.MulticlassClassification.FindLabelIssues(
            data, Options(o => (o.Architecture, o.PretrainedWeights) = (network, weights.Path)), folds: 5);
        var hits = found.Ranking.Take(60).Count(image => image.Row % 5 == 0);
        // By chance, 12.
        Assert.IsGreaterThan(30, hits, $"{hits} of 60");
        Assert.IsTrue(log.Any(line => line.Contains("Held-out predictions by 5 networks", StringComparison.Ordinal)));
        // Of the whole network, 60 epochs would be trained.
        Assert.IsFalse(log.Any(line => line.Contains("of 60:", StringComparison.Ordinal)), string.Join('\n', log));
    }

    [TestMethod]
    public void Class_weights_and_cross_validation_work()
    {
        var data = FashionMnistData.Train(_context, 120);
        using var plain = Fit(data);
        using var weighted = Fit(data, o => o.ClassWeights = ClassWeights.Create([10, .. Enumerable.Repeat(1f, 9)]));
        float Share(FloodedImageClassificationTransformer model) => model.Transform(data).GetColumn<float[]>("Score").Average(s => s[0]);
        Assert.IsGreaterThan(Share(plain) * 1.2f, Share(weighted));

        var results = _context.MulticlassClassification.CrossValidate(
            data, _context.Transforms.FloodedImageClassification(Options()), numberOfFolds: 2);
        foreach (var result in results)
        {
            Assert.IsGreaterThan(0.15, result.Metrics.MicroAccuracy);
            ((FloodedImageClassificationTransformer)result.Model).Dispose();
        }
    }

    private FloodedImageClassificationTransformer Fit(IDataView data, Action<FloodedImageClassificationTrainer.Options>? change = null) =>
        _context.Transforms.FloodedImageClassification(Options(change)).Fit(data);

    private static FloodedImageClassificationTrainer.Options Options(Action<FloodedImageClassificationTrainer.Options>? change = null) =>
        ShortRun.Options(o =>
        {
            (o.Architecture, o.PretrainedWeights, o.Epochs) = (Small, Weights.Path, null);
            change?.Invoke(o);
        });

    private static HeadTrial Choose(Tensor features, Tensor labels, int classes = 2)
    {
        using var set = Features(features, labels);
        using var search = new HeadSearch(Runs(set, classes), new TrainingOptions());
        return search.Choose(_ => { })!;
    }

    private static MemoryImageSet Features(Tensor features, Tensor labels)
    {
        var count = (int)features.shape[0];
        var length = (int)features.shape[1];
        return new MemoryImageSet(
            new ImageShape(1, 1, length), features.to(ScalarType.Float32).reshape(count, 1, 1, length).DetachFromDisposeScope(),
            labels.to(ScalarType.Int64).DetachFromDisposeScope(), arange(count).DetachFromDisposeScope(),
            zeros(count, ScalarType.Int64).DetachFromDisposeScope());
    }

    /// <summary>The features of a linear network are the pixels.</summary>
    private static RunFactory Runs(MemoryImageSet features, int classes)
    {
        var length = features.Shape.Channels;
        var pixels = new Normalization([.. new float[length]], [.. Enumerable.Repeat(1f, length)]);
        return new RunFactory(
            Architecture.Mlp.WithHiddenSizes(), classes, new TrainingData(features, arange(features.Count), null, null), pixels, CPU,
            ScalarType.Float32, 1, () => { });
    }
}
