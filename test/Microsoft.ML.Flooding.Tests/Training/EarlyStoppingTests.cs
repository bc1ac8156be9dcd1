using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Tests.Pipeline;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Training;

[TestClass]
public sealed class EarlyStoppingTests
{
    private readonly MLContext _context = new(seed: 1);

    [TestMethod]
    public void A_run_ends_when_the_patience_is_spent()
    {
        var (best, last) = Follow(new EarlyStopping { Metric = ValidationMetric.LogLoss, Patience = 2 }, [1.0, 0.9, 0.95, 0.92, 0.5]);
        Assert.AreEqual((2, 4), (best, last));
    }

    [TestMethod]
    public void Every_improvement_renews_the_patience()
    {
        var (best, last) = Follow(new EarlyStopping { Metric = ValidationMetric.LogLoss, Patience = 2 }, [1.0, 1.1, 0.9, 1.1, 0.8, 1.1, 1.1]);
        Assert.AreEqual((5, 7), (best, last));
    }

    [TestMethod]
    public void An_improvement_below_the_minimum_gives_the_better_model_but_no_patience()
    {
        var (best, last) = Follow(new EarlyStopping { Metric = ValidationMetric.LogLoss, Patience = 2, MinimumChange = 0.1 }, [1.0, 0.95, 0.93, 0.5]);
        Assert.AreEqual((3, 3), (best, last));
    }

    [TestMethod]
    public void Accuracy_is_watched_where_it_is_asked_for()
    {
        var (best, last) = Follow(
            new EarlyStopping { Metric = ValidationMetric.Accuracy, Patience = 2 }, [1.0, 0.5, 0.2, 0.1], [0.5, 0.7, 0.6, 0.65]);
        Assert.AreEqual((2, 4), (best, last));
    }

    [TestMethod]
    public void Of_equal_accuracies_the_lower_log_loss_is_better_but_does_not_renew_the_patience()
    {
        var (best, last) = Follow(
            new EarlyStopping { Metric = ValidationMetric.Accuracy, Patience = 3 }, [0.9, 0.7, 0.5, 0.6, 0.4], [0.5, 0.7, 0.7, 0.7, 0.6]);
        Assert.AreEqual((3, 5), (best, last));
    }

    /// <summary>The best of 0.7 has a standard error of sqrt(0.7 * 0.3 / 100) = 0.046: 0.66 is within it, 0.65 is not.</summary>
    [TestMethod]
    public void Among_accuracies_within_a_standard_error_the_lowest_log_loss_is_the_best()
    {
        var stopping = new EarlyStopping { Metric = ValidationMetric.AccuracyThenLogLoss, Patience = 9 };
        Assert.AreEqual(2, Follow(stopping, [0.9, 0.5, 0.8], [0.65, 0.66, 0.7], images: 100).Best);
        Assert.AreEqual(3, Follow(stopping, [0.4, 0.5, 0.8], [0.65, 0.65, 0.7], images: 100).Best);
        Assert.AreEqual(1, Follow(stopping, [0.4, 0.5, 0.8], [0.66, 0.66, 0.7], images: 100).Best);
        Assert.AreEqual(3, Follow(stopping, [0.4, 0.5, 0.8], [0.5, 0.6, 0.7], images: 100).Best);
        Assert.AreEqual(4, Follow(stopping, [0.4, 0.5, 0.8, 0.7], [0.5, 0.6, 0.7, 0.66], images: 100).Best);
        Assert.AreEqual(3, Follow(stopping, [0.4, 0.5, 0.8, 0.7], [0.5, 0.6, 0.7, 0.66], images: 10_000).Best, "a small error");
    }

    [TestMethod]
    public void By_default_validation_chooses_the_epoch()
    {
        var (train, validation) = Noisy();
        FloodedImageClassificationTransformer Fit(bool stops) => ShortRun.Fit(_context, train, o =>
        {
            (o.FloodLevel, o.Epochs, o.BatchSize, o.LearningRate, o.ValidationSet) = (0, 40, 16, 0.1, validation);
            o.EarlyStopping = stops ? o.EarlyStopping : null;
        });
        using var model = Fit(stops: true);
        using var last = Fit(stops: false);

        var best = model.History.Epochs.Max(e => e.ValidationAccuracy)!.Value;
        Assert.IsGreaterThanOrEqualTo(best - Math.Sqrt(best * (1 - best) / 200), model.History.ValidationAccuracy!.Value);
        Assert.IsLessThan(last.History.ValidationLoss!.Value, model.History.ValidationLoss!.Value);
        Assert.IsLessThan(40, model.History.Epochs.Count, "20 epochs without an improvement end the run");
        Assert.AreEqual((40, 40), (last.History.Epochs.Count, last.History.SelectedEpoch), "null trains all epochs, and means it");
    }

    [TestMethod]
    public void Without_validation_data_the_default_trains_all_epochs()
    {
        using var model = ShortRun.Fit(_context, FashionMnistData.Train(_context, 40), o => (o.Epochs, o.ValidationSetFraction) = (25, null));
        Assert.AreEqual((25, 25), (model.History.Epochs.Count, model.History.SelectedEpoch));
    }

    [TestMethod]
    public void The_model_has_the_weights_of_the_best_epoch()
    {
        var (train, validation) = Noisy();
        using var model = ShortRun.Fit(_context, train, o =>
        {
            (o.FloodLevel, o.Epochs, o.BatchSize, o.LearningRate) = (0, 60, 16, 0.1);
            o.ValidationSet = validation;
            o.EarlyStopping = new EarlyStopping { Metric = ValidationMetric.LogLoss, Patience = 3 };
        });
        var history = model.History;

        Assert.HasCount(history.SelectedEpoch + 3, history.Epochs, "three epochs without an improvement end the run");
        Assert.AreEqual(history.Epochs.Min(e => e.ValidationLoss), history.Epochs[history.SelectedEpoch - 1].ValidationLoss);
        Assert.AreNotEqual(history.Epochs[^1].ValidationLoss!.Value, history.Epochs[history.SelectedEpoch - 1].ValidationLoss!.Value);
        var metrics = _context.MulticlassClassification.Evaluate(model.Transform(validation));
        Assert.AreEqual(history.Epochs[history.SelectedEpoch - 1].ValidationLoss!.Value, metrics.LogLoss, 1e-5);
        Assert.AreEqual(history.Epochs[history.SelectedEpoch - 1].ValidationAccuracy!.Value, metrics.MicroAccuracy, 1e-9);
    }

    [TestMethod]
    public void Averaged_weights_can_be_the_best_ones()
    {
        var (train, validation) = Noisy();
        using var model = ShortRun.Fit(_context, train, o =>
        {
            (o.FloodLevel, o.Epochs, o.BatchSize, o.LearningRate) = (0.5f, 60, 16, 0.1);
            o.ValidationSet = validation;
            o.EarlyStopping = new EarlyStopping { Metric = ValidationMetric.LogLoss, Patience = 5 };
        });
        var best = model.History.Epochs[model.History.SelectedEpoch - 1];

        Assert.IsTrue(model.History.AveragedWeights);
        Assert.AreEqual(
            best.AveragedValidationLoss!.Value, _context.MulticlassClassification.Evaluate(model.Transform(validation)).LogLoss, 1e-5);
    }

    /// <summary>A third of the labels are wrong, so that plain training soon overfits.</summary>
    private (IDataView Train, IDataView Validation) Noisy()
    {
        var rows = FashionMnistData.Rows("train", 300);
        var noisy = rows.Select((row, i) => new FashionMnistData.Row
        {
            Features = row.Features,
            Id = row.Id,
            Class = i % 3 == 0 ? rows[i * 7 % 300].Class : row.Class,
        });
        var test = FashionMnistData.Test(_context, 200);
        var data = _context.Data.LoadFromEnumerable(noisy);
        var keys = _context.Transforms.Conversion.MapValueToKey(
            "Label", "Class", keyOrdinality: Microsoft.ML.Transforms.ValueToKeyMappingEstimator.KeyOrdinality.ByValue).Fit(data);
        return (keys.Transform(data), keys.Transform(_context.Transforms.DropColumns("Label").Fit(test).Transform(test)));
    }

    /// <summary>The best and the last epoch of a run with these figures.</summary>
    private static (int Best, int Last) Follow(
        EarlyStopping stopping, double[] losses, double[]? accuracies = null, long images = 0)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        using var network = Architecture.Mlp.WithHiddenSizes().Create(new ImageShape(1, 1, 1), 2, generator);
        using var weights = new WorkingWeights(network, CPU, ScalarType.Float32);
        using var best = new BestWeights(stopping);
        for (var epoch = 1; epoch <= losses.Length; epoch++)
        {
            using (no_grad())
                weights.All[0].fill_(epoch);
            best.Offer(epoch, new Evaluation(losses[epoch - 1], accuracies?[epoch - 1] ?? 0, Count: images), null, weights, null);
            Assert.AreEqual(best.Epoch, best.Values[0].flatten()[0].item<float>(), "the values are those of the best epoch");
            if (best.Exhausted(epoch))
                return (best.Epoch, epoch);
        }
        return (best.Epoch, losses.Length + 1);
    }
}
