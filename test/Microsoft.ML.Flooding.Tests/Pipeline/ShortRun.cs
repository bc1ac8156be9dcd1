using Options = Microsoft.ML.Flooding.FloodedImageClassificationTrainer.Options;

namespace Microsoft.ML.Flooding.Tests.Pipeline;

/// <summary>Training in a fraction of a second: a perceptron with one small hidden layer.</summary>
internal static class ShortRun
{
    public static Options Options(Action<Options>? change = null)
    {
        var options = new Options { Architecture = Architecture.Mlp.WithHiddenSizes(32), Epochs = 2, Seed = 1 };
        change?.Invoke(options);
        return options;
    }

    public static FloodedImageClassificationTransformer Fit(MLContext context, IDataView data, Action<Options>? change = null) =>
        context.Transforms.FloodedImageClassification(Options(change)).Fit(data);
}
