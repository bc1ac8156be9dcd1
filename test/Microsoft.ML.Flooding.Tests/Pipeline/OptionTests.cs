using Options = Microsoft.ML.Flooding.FloodedImageClassificationTrainer.Options;

namespace Microsoft.ML.Flooding.Tests.Pipeline;

/// <summary>Options out of their range are refused when the trainer is created. The error gives the option's name and range.</summary>
[TestClass]
public sealed class OptionTests
{
    private readonly MLContext _context = new(seed: 1);

    public static IEnumerable<object[]> OutOfRange => new (string Option, string Range, Action<Options> Change)[]
    {
        ("FloodLevel", "finite and at least 0", o => o.FloodLevel = -0.01f),
        ("FloodLevel", "finite and at least 0", o => o.FloodLevel = float.NaN),
        ("FloodLevel", "finite and at least 0", o => o.FloodLevel = float.PositiveInfinity),
        ("Epochs", "at least 1", o => o.Epochs = 0),
        ("BatchSize", "at least 1", o => o.BatchSize = 0),
        ("Optimizer", "Sgd, Adam or AdamW", o => o.Optimizer = (Optimizer)9),
        ("Precision", "Float32, BFloat16 or Auto", o => o.Precision = (Precision)9),
        ("LearningRate", "greater than 0", o => o.LearningRate = 0),
        ("LearningRate", "greater than 0", o => o.LearningRate = double.NaN),
        ("LearningRate", "greater than 0", o => o.LearningRate = double.PositiveInfinity),
        ("Momentum", "in [0, 1)", o => o.Momentum = 1),
        ("Momentum", "in [0, 1)", o => o.Momentum = -0.1),
        ("Momentum", "in [0, 1)", o => o.Momentum = double.NaN),
        ("Nesterov", "Momentum above 0", o => (o.Nesterov, o.Momentum) = (true, 0)),
        ("WeightDecay", "at least 0", o => o.WeightDecay = -1),
        ("WeightDecay", "at least 0", o => o.WeightDecay = double.NaN),
        ("MaxGradientNorm", "greater than 0", o => o.MaxGradientNorm = 0),
        ("MaxGradientNorm", "greater than 0", o => o.MaxGradientNorm = double.NaN),
        ("MaxGradientNorm", "finite and greater than 0", o => o.MaxGradientNorm = double.PositiveInfinity),
        ("Schedule.WarmUpEpochs", "at least 0", o => o.Schedule = LearningRateSchedule.Cosine with { WarmUpEpochs = -1 }),
        ("WeightAveraging.Decay", "in [0, 1)", o => o.WeightAveraging = new WeightAveraging { Decay = 1 }),
        ("EarlyStopping.Patience", "at least 1", o => o.EarlyStopping = new EarlyStopping { Patience = 0 }),
        ("EarlyStopping.MinimumChange", "at least 0", o => o.EarlyStopping = new EarlyStopping { MinimumChange = -0.1 }),
        ("EarlyStopping.MinimumChange", "at least 0", o => o.EarlyStopping = new EarlyStopping { MinimumChange = double.NaN }),
        ("EarlyStopping.MinimumChange", "finite and at least 0",
            o => o.EarlyStopping = new EarlyStopping { MinimumChange = double.PositiveInfinity }),
        ("EarlyStopping.Metric", "a metric, not null", o => o.EarlyStopping = new EarlyStopping { Metric = null! }),
        ("FloodLevels.Metric", "a metric, not null", o => o.FloodLevels = FloodLevels.Adaptive with { Metric = null! }),
        ("Callbacks", "a list without null", o => o.Callbacks = [null!]),
        ("ValidationSetFraction", "in (0, 1), or null", o => o.ValidationSetFraction = 0),
        ("ValidationSetFraction", "in (0, 1), or null", o => o.ValidationSetFraction = 1),
        ("ValidationSetFraction", "in (0, 1), or null", o => o.ValidationSetFraction = double.NaN),
        ("ImageWidth", "at least 1", o => (o.ImageWidth, o.ImageHeight) = (0, 1)),
        ("ImageHeight", "at least 1", o => (o.ImageWidth, o.ImageHeight) = (1, 0)),
        ("ImageWidth", "at most 65535", o => (o.ImageWidth, o.ImageHeight) = (65_536, 1)),
        ("ImageHeight", "at most 67108864 / ImageWidth", o => (o.ImageWidth, o.ImageHeight) = (65_535, 1_025)),
        ("ImageHeight", "set together with ImageWidth", o => o.ImageWidth = 28),
        ("ImageHeight", "set together with ImageWidth", o => o.ImageHeight = 28),
    }.Select((c, i) => new object[] { i, c.Option, c.Range, c.Change });

    [TestMethod]
    [DynamicData(nameof(OutOfRange))]
    public void Out_of_range(int number, string option, string range, Action<Options> change)
    {
        var options = ShortRun.Options(change);
        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => _context.Transforms.FloodedImageClassification(options), $"case {number}");
        Assert.AreEqual(option, error.ParamName);
        StringAssert.Contains(error.Message, $"Option {option} must be");
        StringAssert.Contains(error.Message, range);
    }

    public static IEnumerable<object[]> Missing => new (string Option, Action<Options> Change)[]
    {
        ("LabelColumnName", o => o.LabelColumnName = " "),
        ("FeatureColumnName", o => o.FeatureColumnName = null!),
        ("ScoreColumnName", o => o.ScoreColumnName = ""),
        ("PredictedLabelColumnName", o => o.PredictedLabelColumnName = ""),
        ("Architecture", o => o.Architecture = null!),
        ("Schedule", o => o.Schedule = null!),
        ("Objective", o => o.Objective = null!),
        ("ClassWeights", o => o.ClassWeights = null!),
        ("Callbacks", o => o.Callbacks = null!),
        ("ExampleWeightColumnName", o => o.ExampleWeightColumnName = " "),
        ("SamplingKeyColumnName", o => o.SamplingKeyColumnName = ""),
    }.Select((c, i) => new object[] { i, c.Option, c.Change });

    [TestMethod]
    [DynamicData(nameof(Missing))]
    public void Missing_values(int number, string option, Action<Options> change)
    {
        var options = ShortRun.Options(change);
        var error = Assert.Throws<ArgumentException>(() => _context.Transforms.FloodedImageClassification(options), $"case {number}");
        Assert.AreEqual(option, error.ParamName);
    }

    [TestMethod]
    public void One_name_for_both_outputs_is_refused()
    {
        var error = Assert.Throws<ArgumentException>(
            () => _context.Transforms.FloodedImageClassification(0.1f, scoreColumnName: "PredictedLabel"));
        StringAssert.Contains(error.Message, "ScoreColumnName and PredictedLabelColumnName are both 'PredictedLabel'");
    }

    [TestMethod]
    [DataRow(-0.1f)]
    [DataRow(float.NaN)]
    [DataRow(float.NegativeInfinity)]
    public void A_level_that_is_none_is_refused_in_the_short_forms_as_well(float b)
    {
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => _context.Transforms.FloodedImageClassification(b));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => _context.MulticlassClassification.Trainers.FloodedImageClassification(b));
    }
}
