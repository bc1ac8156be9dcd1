using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Orleans.Tests;

/// <summary>Rows of Fashion-MNIST, and the trainings that tests compare.</summary>
internal static class Images
{
    public static string PathOf(string file) => Path.Combine(AppContext.BaseDirectory, "fashion-mnist", file);

    public static IDataView Train(MLContext context, int count = 300) => context.Data.TakeRows(
        context.Data.LoadFromIdx(PathOf("train-images-idx3-ubyte.gz"), PathOf("train-labels-idx1-ubyte.gz")), count);

    public static IDataView Test(MLContext context, int count = 50) => context.Data.TakeRows(
        context.Data.LoadFromIdx(PathOf("t10k-images-idx3-ubyte.gz"), PathOf("t10k-labels-idx1-ubyte.gz")), count);

    public static FloodedImageClassificationTrainer.Options Options(
        Action<FloodedImageClassificationTrainer.Options>? change = null)
    {
        var options = new FloodedImageClassificationTrainer.Options
        {
            Epochs = 6,
            BatchSize = 32,
            Architecture = Architecture.Mlp.WithHiddenSizes(64),
            ValidationSetFraction = 0.2,
            Seed = 5,
        };
        change?.Invoke(options);
        return options;
    }

    public static FloodedImageClassificationTransformer Fit(
        FloodedImageClassificationTrainer.Options options, MLContext? context = null, int count = 300)
    {
        context ??= new MLContext();
        return context.Transforms.FloodedImageClassification(options).Fit(Train(context, count));
    }

    /// <summary>Everything of a model that does not depend on the time that it took.</summary>
    public static void AssertSame(FloodedImageClassificationTransformer expected, FloodedImageClassificationTransformer actual)
    {
        Assert.AreEqual(expected.FloodLevel, actual.FloodLevel);
        AssertSame(expected.History, actual.History);
        Assert.HasCount(expected.Trials.Count, actual.Trials);
        foreach (var (e, a) in expected.Trials.Zip(actual.Trials))
        {
            AssertSame(e.History, a.History);
            Assert.AreEqual(e.SharedEpochs, a.SharedEpochs);
            Assert.AreEqual(e.Failure, a.Failure);
        }
        CollectionAssert.AreEqual(Scores(expected), Scores(actual));
    }

    public static float[] Scores(FloodedImageClassificationTransformer model) =>
        [.. model.Transform(Test(new MLContext())).GetColumn<float[]>("Score").SelectMany(s => s)];

    private static void AssertSame(TrainingHistory expected, TrainingHistory actual)
    {
        CollectionAssert.AreEqual(Comparable(expected), Comparable(actual));
        Assert.AreEqual(expected.SelectedEpoch, actual.SelectedEpoch);
        Assert.AreEqual(expected.AveragedWeights, actual.AveragedWeights);
        CollectionAssert.AreEquivalent(expected.Settings.ToArray(), actual.Settings.ToArray());
    }

    private static EpochMetrics[] Comparable(TrainingHistory history) => [.. history.Epochs.Select(e => e with { ImagesPerSecond = 0 })];
}
