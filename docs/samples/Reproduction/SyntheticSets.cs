using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding;

namespace Reproduction;

/// <summary>
/// Tasks on the synthetic sets of Ishida et al. (ICML 2020): two Gaussians, a sinusoid and a spiral, with 100 points for training,
/// 100 for validation and 20,000 for testing. In the sinusoid and the spiral, training labels are flipped. A point is an image of one row.
/// </summary>
internal static class SyntheticSets
{
    private const int TrainingCount = 100;
    private const int TestCount = 20_000;

    public static IEnumerable<Task> All(Scale scale)
    {
        yield return Create("Two Gaussians", 10, 0, scale, SyntheticPoints.Gaussians);
        foreach (var noise in scale.SyntheticNoise)
            yield return Create("Sinusoid", 2, noise, scale, SyntheticPoints.Sinusoid);
        foreach (var noise in scale.SyntheticNoise)
            yield return Create("Spiral", 2, noise, scale, SyntheticPoints.Spiral);
    }

    private static Task Create(string name, int dimensions, double noise, Scale scale, Func<Random, int, SyntheticPoints> draw) => new(
        noise == 0 ? name : FormattableString.Invariant($"{name}, {100 * noise:0} % of the training labels flipped"),
        scale.SyntheticLevels,
        o =>
        {
            o.Architecture = Architecture.Mlp.WithHiddenSizes(500, 500, 500, 500);
            o.Optimizer = Optimizer.Adam;
            o.LearningRate = 0.001;
            o.BatchSize = TrainingCount;
            o.Epochs = scale.SyntheticEpochs;
            (o.ImageWidth, o.ImageHeight) = (dimensions, 1);
        },
        seed =>
        {
            var random = new Random(seed);
            return new Sets(
                View(draw(random, TrainingCount).Flip(noise, random), dimensions), View(draw(random, TrainingCount), dimensions),
                View(draw(random, TestCount), dimensions));
        });

    private static IDataView View(SyntheticPoints points, int dimensions)
    {
        var schema = SchemaDefinition.Create(typeof(Sample));
        schema[nameof(Sample.Features)].ColumnType = new VectorDataViewType(NumberDataViewType.Single, dimensions);
        schema[nameof(Sample.Label)].ColumnType = new KeyDataViewType(typeof(uint), 2);
        Sample[] samples =
            [.. points.Features.Zip(points.Labels, (features, positive) => new Sample { Features = features, Label = positive ? 1u : 0u })];
        return new MLContext().Data.LoadFromEnumerable(samples, schema);
    }

    private sealed class Sample
    {
        public float[] Features { get; set; } = [];

        public uint Label { get; set; }
    }
}
