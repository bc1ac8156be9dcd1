using Microsoft.ML.Flooding.Tests.Pipeline;

namespace Microsoft.ML.Flooding.Tests.Training;

/// <summary>A run that diverges gives an error, never a model of NaN.</summary>
[TestClass]
public sealed class DivergenceTests
{
    private readonly MLContext _context = new(seed: 1);

    [TestMethod]
    public void In_the_last_step_without_validation_data() =>
        StringAssert.Contains(Diverge(o => (o.LearningRate, o.ValidationSetFraction) = (1e39, null)).Message, "after step 1 of 1");

    [TestMethod]
    public void In_the_last_step_as_validation_data_shows() =>
        StringAssert.Contains(Diverge(o => o.LearningRate = 1e30).Message, "the validation loss");

    [TestMethod]
    public void With_early_stopping_by_accuracy() =>
        StringAssert.Contains(
            Diverge(o => (o.LearningRate, o.EarlyStopping) = (1e30, new EarlyStopping { Metric = ValidationMetric.Accuracy })).Message,
            "the validation loss");

    private InvalidOperationException Diverge(Action<FloodedImageClassificationTrainer.Options> change)
    {
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => ShortRun.Fit(_context, FashionMnistData.Train(_context, 64), o =>
        {
            (o.Epochs, o.BatchSize, o.FloodLevel) = (1, 64, 0);
            change(o);
        }));
        StringAssert.Contains(error.Message, "Training diverged in epoch 1");
        StringAssert.Contains(error.Message, "MaxGradientNorm");
        return error;
    }
}
