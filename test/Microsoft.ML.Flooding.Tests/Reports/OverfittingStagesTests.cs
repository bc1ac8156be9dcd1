using System.Text.RegularExpressions;

namespace Microsoft.ML.Flooding.Tests.Reports;

[TestClass]
public sealed class OverfittingStagesTests
{
    private const int Epochs = 100;

    /// <summary>
    /// The training loss falls exponentially and is below 0.02 from epoch 79 on. The validation loss follows it at first, is lowest at
    /// epoch 40, and then rises.
    /// </summary>
    private static double Training(int epoch) => 2 * Math.Exp(-epoch / 17.0);

    private static double Overfitted(int epoch) => 0.6 + (epoch < 40 ? 1.4 * Math.Pow((40 - epoch) / 40.0, 3) : 0.008 * (epoch - 40));

    internal static TrainingHistory Overfitting(double noise, float floodLevel) =>
        new(Curves(Training, Overfitted, noise, 1, Epochs), Epochs, false) { FloodLevel = floodLevel };

    private static OverfittingStages Stages(
        Func<int, double> training, Func<int, double>? validation,
        double noise = 0, int seed = 0, float floodLevel = 0, int epochs = Epochs) =>
        OverfittingStages.Of(Curves(training, validation, noise, seed, epochs), floodLevel);

    private static EpochMetrics[] Curves(Func<int, double> training, Func<int, double>? validation, double noise, int seed, int epochs)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(1, epochs).Select(e => new EpochMetrics
        {
            Epoch = e,
            TrainingLoss = training(e) * (1 + noise * Gaussian(random)),
            ValidationLoss = validation?.Invoke(e) + noise * Gaussian(random),
            LowestBatchLoss = 0,
            FloodedShare = 0,
            LearningRate = 0.1,
            GradientNorm = 1,
            ImagesPerSecond = 1,
        })];
    }

    private static double Gaussian(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    [TestMethod]
    [DataRow(0.0, 0)]
    [DataRow(0.02, 1)]
    [DataRow(0.02, 2)]
    [DataRow(0.05, 3)]
    [DataRow(0.05, 4)]
    [DataRow(0.1, 5)]
    public void All_three_stages_are_found_through_noise(double noise, int seed)
    {
        var stages = Stages(Training, Overfitted, noise, seed);
        Console.WriteLine(stages);
        Assert.IsNotNull(stages.GapGrows);
        Assert.IsNotNull(stages.ValidationLossRises);
        Assert.IsNotNull(stages.TrainingLossNearZero);
        Assert.AreEqual(40, stages.ValidationLossRises.Value.First, 13);
        Assert.AreEqual(79, stages.TrainingLossNearZero.Value.First, 8);
        Assert.AreEqual(stages.ValidationLossRises.Value.First - 1, stages.GapGrows.Value.Last);
        Assert.AreEqual(stages.TrainingLossNearZero.Value.First - 1, stages.ValidationLossRises.Value.Last);
        Assert.AreEqual(Epochs, stages.TrainingLossNearZero.Value.Last);
        StringAssert.Contains(stages.Advice, $"Stage C from epoch {stages.TrainingLossNearZero.Value.First}");
        // The training loss is 0.19 where the validation loss is lowest, and 0.4 ten epochs earlier.
        StringAssert.Matches(stages.Advice, new Regex("try b = 0.[1-4][.]"));
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(3)]
    [DataRow(4)]
    [DataRow(5)]
    public void Noise_alone_is_no_stage(int seed)
    {
        // Both losses level off together, and their variation is noise.
        double Level(int epoch) => 0.5 + Math.Exp(-epoch / 10.0);
        var stages = Stages(Level, e => Level(e) + 0.05, noise: 0.05, seed);
        Assert.IsNull(stages.GapGrows, $"{stages.GapGrows}");
        Assert.IsNull(stages.ValidationLossRises, $"{stages.ValidationLossRises}");
        Assert.IsNull(stages.TrainingLossNearZero, $"{stages.TrainingLossNearZero}");
    }

    [TestMethod]
    public void A_growing_gap_alone_is_stage_A()
    {
        var stages = Stages(e => 0.5 + Math.Exp(-e / 30.0), e => 0.8 + 0.7 * Math.Exp(-e / 60.0), noise: 0.005);
        Assert.IsNotNull(stages.GapGrows);
        Assert.IsNull(stages.ValidationLossRises);
        Assert.IsNull(stages.TrainingLossNearZero);
        Assert.AreEqual(Epochs, stages.GapGrows.Value.Last);
        StringAssert.Contains(stages.Advice, "nothing has to be done");
    }

    [TestMethod]
    public void A_single_spike_is_no_stage()
    {
        double Level(int epoch) => 0.3 + Math.Exp(-epoch / 20.0);
        var stages = Stages(Level, e => Level(e) + (e is 70 or 100 ? 3 : 0));
        Assert.IsNull(stages.ValidationLossRises);
    }

    [TestMethod]
    public void A_flood_that_holds_needs_nothing_and_one_that_does_not_a_higher_level()
    {
        double Floats(int epoch) => Math.Max(0.1, Training(epoch));
        Assert.IsNull(Stages(Floats, e => Math.Max(0.6, Overfitted(Math.Min(e, 40))), noise: 0.01, floodLevel: 0.1f).TrainingLossNearZero);
        StringAssert.Contains(Stages(Floats, Overfitted, floodLevel: 0.1f).Advice, "in spite of the flood at 0.1");
        StringAssert.Contains(Stages(Floats, Overfitted, floodLevel: 0.5f).Advice, "try b = 1");
    }

    [TestMethod]
    public void Without_validation_only_C_is_told()
    {
        var stages = Stages(Training, null);
        Assert.IsNull(stages.GapGrows);
        Assert.IsNull(stages.ValidationLossRises);
        Assert.IsNotNull(stages.TrainingLossNearZero);
        StringAssert.Contains(stages.Advice, "with a validation set");
    }

    [TestMethod]
    public void Few_epochs_say_so()
    {
        StringAssert.Contains(Stages(Training, Overfitted, epochs: 4).Advice, "too few");
        Assert.IsNull(Stages(Training, Overfitted, epochs: 5).TrainingLossNearZero);
    }
}
