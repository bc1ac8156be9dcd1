using Microsoft.ML.Flooding.Tests.Pipeline;
using Options = Microsoft.ML.Flooding.FloodedImageClassificationTrainer.Options;

namespace Microsoft.ML.Flooding.Tests.Training;

/// <summary>Whether a model gets the raw or the averaged weights of the last epoch.</summary>
[TestClass]
public sealed class WeightSelectionTests
{
    private readonly MLContext _context = new(seed: 1);

    [TestMethod]
    public void Flooded_without_validation_the_averaged_ones()
    {
        using var model = Fit(o => o.ValidationSetFraction = null);
        Assert.IsTrue(model.History.AveragedWeights);
        Assert.AreEqual(2, model.History.SelectedEpoch);
    }

    [TestMethod]
    public void Plain_without_validation_the_raw_ones()
    {
        using var model = Fit(o => (o.FloodLevel, o.ValidationSetFraction) = (0, null));
        Assert.IsFalse(model.History.AveragedWeights);
    }

    [TestMethod]
    public void Flooded_without_averaging_the_raw_ones()
    {
        using var model = Fit(o => (o.WeightAveraging, o.ValidationSetFraction) = (WeightAveraging.None, null));
        Assert.IsFalse(model.History.AveragedWeights);
    }

    [TestMethod]
    public void With_validation_the_averaged_ones_where_they_are_better()
    {
        // At this learning rate, single iterates fluctuate.
        var validation = FashionMnistData.Test(_context, 200);
        using var model = Fit(o => (o.ValidationSet, o.LearningRate, o.BatchSize, o.Epochs) = (validation, 1, 8, 6));
        var last = model.History.Epochs[^1];
        Assert.IsLessThan(last.ValidationLoss!.Value, last.AveragedValidationLoss!.Value);
        Assert.IsTrue(model.History.AveragedWeights);
        AssertEvaluatesTo(last.AveragedValidationLoss!.Value, model, validation);
    }

    [TestMethod]
    public void With_validation_the_raw_ones_where_they_are_better()
    {
        // After so few steps, the average is still close to the initial weights.
        var validation = FashionMnistData.Test(_context, 200);
        using var model = Fit(o =>
        {
            (o.ValidationSet, o.Epochs, o.LearningRate) = (validation, 1, 0.01);
            o.WeightAveraging = new WeightAveraging { Decay = 0.9999 };
        });
        var last = model.History.Epochs[^1];
        Assert.IsLessThan(last.AveragedValidationLoss!.Value, last.ValidationLoss!.Value);
        Assert.IsFalse(model.History.AveragedWeights);
        AssertEvaluatesTo(last.ValidationLoss!.Value, model, validation);
    }

    [TestMethod]
    public void Averaging_does_not_touch_the_run_that_it_watches()
    {
        using var averaged = Fit(o => o.WeightAveraging = WeightAveraging.Exponential);
        using var raw = Fit(o => o.WeightAveraging = WeightAveraging.None);
        CollectionAssert.AreEqual(
            raw.History.Epochs.Select(e => (e.TrainingLoss, e.ValidationLoss)).ToArray(),
            averaged.History.Epochs.Select(e => (e.TrainingLoss, e.ValidationLoss)).ToArray());
    }

    private FloodedImageClassificationTransformer Fit(Action<Options> change) =>
        ShortRun.Fit(_context, FashionMnistData.Train(_context, 200), o =>
        {
            o.EarlyStopping = null;
            change(o);
        });

    private void AssertEvaluatesTo(double loss, FloodedImageClassificationTransformer model, IDataView data) =>
        Assert.AreEqual(loss, _context.MulticlassClassification.Evaluate(model.Transform(data)).LogLoss, 1e-5 * (1 + loss));
}
