using System.Globalization;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>Rows that check that reduced precision does not cost accuracy.</summary>
internal static class AccuracyRows
{
    private const int Seeds = 3;

    public static IEnumerable<Row> All =>
    [
        new Row(
            "bfloat16-accuracy", "Test accuracy on the sample, Float32 minus BFloat16, points (MLP, mean of 3 seeds)", 0.5, false,
            BFloat16, NeedsBFloat16: true),
    ];

    private static Figure BFloat16()
    {
        var context = new MLContext();
        var (train, test) = (Sample.Load(context, "train"), Sample.Load(context, "t10k"));
        var (exact, reduced) = (Mean(Precision.Float32), Mean(Precision.BFloat16));
        return new Figure(exact - reduced, Percent(reduced), Percent(exact));

        double Mean(Precision precision) => Enumerable.Range(1, Seeds).Average(seed =>
        {
            using var model = context.Transforms.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
            {
                Architecture = Architecture.Mlp,
                Epochs = 20,
                Precision = precision,
                Seed = seed,
            }).Fit(train);
            return 100 * context.MulticlassClassification.Evaluate(model.Transform(test)).MicroAccuracy;
        });
    }

    private static string Percent(double value) => string.Create(CultureInfo.InvariantCulture, $"{value:0.0} %");
}
