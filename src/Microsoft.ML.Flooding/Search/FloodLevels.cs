using System.Globalization;

namespace Microsoft.ML.Flooding;

/// <summary>
/// The flood levels b of a search, and how the validation set chooses among them. Plain training, b = 0, is always included. If
/// <see cref="TrainingOptions.WeightAveraging"/> is null, a search uses <see cref="WeightAveraging.Exponential"/> at every level,
/// including 0, so that all levels are compared on equal terms.
/// </summary>
public sealed record FloodLevels
{
    private const int MostLevels = 1000;
    private const double RoundingTolerance = 1e-6;

    private FloodLevels(IReadOnlyList<float>? values) => Values = values;

    /// <summary>The levels in ascending order, 0 first; null if they are derived from the plain run.</summary>
    public IReadOnlyList<float>? Values { get; }

    /// <summary>
    /// The metric that is compared. If two trials are equal, the smaller level wins. Default:
    /// <see cref="ValidationMetric.AccuracyThenLogLoss"/>, as for <see cref="EarlyStopping.Metric"/>: the level and the epoch are one
    /// choice.
    /// </summary>
    public ValidationMetric Metric { get; init; } = ValidationMetric.AccuracyThenLogLoss;

    /// <summary>
    /// Whether to stop a run after half of its epochs if its best metric so far is worse than the median of the other runs' best at that
    /// epoch (the median rule of Golovin et al., 2017). Default: false, every run is trained to its end.
    /// </summary>
    public bool Pruning { get; init; }

    /// <summary>
    /// Levels derived from a plain run: its training loss in the epoch with the lowest validation loss, and 1/2 to 1/16 of that. Clean
    /// labels give levels of a few hundredths, noisy labels much higher ones. If runs share the plain run, it is trained a second time.
    /// </summary>
    public static FloodLevels Adaptive { get; } = new((IReadOnlyList<float>?)null);

    /// <summary>The given levels, and 0.</summary>
    /// <param name="levels">Finite and at least 0; duplicates are removed.</param>
    /// <exception cref="ArgumentException">There are no levels, or one is negative or not finite.</exception>
    public static FloodLevels Create(params IReadOnlyList<float> levels)
    {
        ArgumentNullException.ThrowIfNull(levels);
        if (levels.Count == 0 || levels.Any(l => !float.IsFinite(l) || l < 0))
            throw new ArgumentException("There must be at least one flood level, and each must be finite and at least 0.", nameof(levels));
        return new FloodLevels([.. levels.Append(0).Distinct().Order()]);
    }

    /// <summary>The levels from <paramref name="first"/> to <paramref name="last"/>, both included, and 0.</summary>
    /// <param name="first">The smallest level, at least 0.</param>
    /// <param name="last">The largest level, at least <paramref name="first"/>.</param>
    /// <param name="step">The distance between levels, finite and greater than 0; at most 1,000 levels.</param>
    /// <exception cref="ArgumentOutOfRangeException">A parameter is out of its range.</exception>
    public static FloodLevels Range(float first, float last, float step)
    {
        if (!(first >= 0 && float.IsFinite(first)))
            throw new ArgumentOutOfRangeException(nameof(first), first, "The first level must be finite and at least 0.");
        if (!(last >= first && float.IsFinite(last)))
            throw new ArgumentOutOfRangeException(nameof(last), last, "The last level must be finite and at least the first.");
        var (from, to, by) = (AsWritten(first), AsWritten(last), AsWritten(step));
        var count = by > 0 ? Math.Floor((to - from) / by + RoundingTolerance) : double.PositiveInfinity;
        if (count >= MostLevels || !double.IsFinite(by))
            throw new ArgumentOutOfRangeException(
                nameof(step), step, "The step must be finite and greater than 0 and give at most 1,000 levels.");
        return Create([.. Enumerable.Range(0, (int)count + 1).Select(i => (float)(from + i * by))]);

        // 0 to 0.1 by 0.01 has eleven levels, and the third is 0.02 rather than 0.01999.
        static double AsWritten(float value) =>
            double.Parse(value.ToString("R", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
    }

    /// <summary>The levels and how one is chosen.</summary>
    public override string ToString()
    {
        var levels = Values is null ? nameof(Adaptive) : string.Join(", ", Values.Select(l => l.ToString(CultureInfo.InvariantCulture)));
        return $"{levels}; by {Metric}{(Pruning ? ", with pruning" : "")}";
    }

    /// <summary>The levels that <see cref="For"/> gives at most, 0 among them.</summary>
    internal const int AdaptiveCount = 6;

    /// <summary>The levels that suit a task, by its plain run.</summary>
    internal static IReadOnlyList<float> For(TrainingHistory plain)
    {
        var best = plain.Epochs.MinBy(e => e.ValidationLoss ?? double.PositiveInfinity)!;
        return Create([.. new[] { 0.0625, 0.125, 0.25, 0.5, 1 }.Select(f => Round(f * best.TrainingLoss))]).Values!;
    }

    /// <summary>To two significant digits: a level's others are noise.</summary>
    private static float Round(double level)
    {
        if (level <= 0)
            return 0;
        var unit = Math.Pow(10, Math.Floor(Math.Log10(level)) - 1);
        return (float)(Math.Round(level / unit) * unit);
    }
}
