using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding;

namespace Reproduction;

/// <summary>
/// Two classes in two or ten dimensions after section 4.1 of Ishida et al. (ICML 2020): two Gaussians, a sinusoid and a spiral, 100 samples to train
/// on, 100 to validate on, 5,000 to test on; of the last two some labels are flipped. A vector is an image of one row.
/// </summary>
internal static class SyntheticSets
{
    private const int TrainingCount = 100;
    private const int TestCount = 5000;

    public static IEnumerable<Task> All(Scale scale)
    {
        yield return Create("Two Gaussians", 10, 0, scale.SyntheticEpochs, Gaussians);
        foreach (var noise in scale.SyntheticNoise)
            yield return Create("Sinusoid", 2, noise, scale.SyntheticEpochs, Sinusoid);
        foreach (var noise in scale.SyntheticNoise)
            yield return Create("Spiral", 2, noise, scale.SyntheticEpochs, Spiral);
    }

    private static Task Create(string name, int dimensions, double noise, int epochs, Func<Random, int, (float[], bool)> draw)
    {
        var random = new Random(7);
        var context = new MLContext();
        return new Task(
            noise == 0 ? name : FormattableString.Invariant($"{name}, {100 * noise:0} % of the labels flipped"),
            View(TrainingCount, noise), View(TrainingCount, noise), View(TestCount, 0), FloodLevels.Of(0.02f, 0.05f, 0.1f, 0.2f, 0.3f, 0.4f), o =>
            {
                o.Architecture = Architecture.Mlp.WithHiddenSizes(500, 500, 500, 500, 500);
                o.Optimizer = Optimizer.Adam;
                o.LearningRate = 0.001;
                o.BatchSize = 50;
                o.Epochs = epochs;
                (o.ImageWidth, o.ImageHeight) = (dimensions, 1);
            });

        IDataView View(int count, double flipped)
        {
            var schema = SchemaDefinition.Create(typeof(Sample));
            schema[nameof(Sample.Features)].ColumnType = new VectorDataViewType(NumberDataViewType.Single, dimensions);
            schema[nameof(Sample.Label)].ColumnType = new KeyDataViewType(typeof(uint), 2);
            return context.Data.LoadFromEnumerable(Enumerable.Range(0, count).Select(i =>
            {
                var (features, positive) = draw(random, i);
                return new Sample { Features = features, Label = positive != random.NextDouble() < flipped ? 1u : 0u };
            }).ToArray(), schema);
        }
    }

    private static (float[], bool) Gaussians(Random random, int index)
    {
        var positive = index % 2 == 0;
        return ([.. Enumerable.Range(0, 10).Select(_ => (float)(Gaussian(random) + (positive ? 0 : 0.8)))], positive);
    }

    private static (float[], bool) Sinusoid(Random random, int index)
    {
        var (x, y) = (Gaussian(random) * 2, Gaussian(random) * 2);
        return ([(float)x, (float)y], x + Math.Sin(2 * y) > 0);
    }

    private static (float[], bool) Spiral(Random random, int index)
    {
        var positive = index % 2 == 0;
        var angle = 4 * Math.PI * random.NextDouble();
        var radius = angle + (positive ? 0 : Math.PI);
        return ([(float)(radius * Math.Cos(angle) + 0.5 * Gaussian(random)), (float)(radius * Math.Sin(angle) + 0.5 * Gaussian(random))], positive);
    }

    private static double Gaussian(Random random) => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    private sealed class Sample
    {
        public float[] Features { get; set; } = [];

        public uint Label { get; set; }
    }
}
