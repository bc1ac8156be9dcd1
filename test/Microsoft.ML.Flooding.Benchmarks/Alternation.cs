using System.Diagnostics;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>Times several actions in turn, so that disturbances of the machine affect all of them.</summary>
internal static class Alternation
{
    /// <summary>Returns the seconds of every round, one array for each action.</summary>
    /// <param name="rounds">The number of timed rounds. One more round before them warms up.</param>
    /// <param name="actions">The actions. Each is one measured unit.</param>
    public static double[][] Time(int rounds, params Action[] actions) => Time(rounds, [.. actions.Select(a => new Contender(a))]);

    /// <inheritdoc cref="Time(int, Action[])"/>
    public static double[][] Time(int rounds, params Contender[] actions)
    {
        var seconds = actions.Select(_ => new double[rounds]).ToArray();
        for (var round = -1; round < rounds; round++)
            // The order alternates, so that no action always follows the same other one.
            for (var i = 0; i < actions.Length; i++)
            {
                var action = round % 2 == 0 ? i : actions.Length - 1 - i;
                using var conditions = actions[action].Prepare?.Invoke();
                var start = Stopwatch.GetTimestamp();
                actions[action].Run();
                if (round >= 0)
                    seconds[action][round] = Stopwatch.GetElapsedTime(start).TotalSeconds;
            }
        return seconds;
    }

    /// <summary>Returns the seconds of each action, without a warm-up round.</summary>
    public static double[] TimeOnce(params Action[] actions) => Array.ConvertAll(actions, action =>
    {
        var start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    });

    public static double Median(this IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    /// <summary>Returns the median of the ratios of the rounds. Within a round, both actions run under the same conditions.</summary>
    public static double MedianRatio(double[] numerator, double[] denominator) => numerator.Zip(denominator, (n, d) => n / d).Median();
}

/// <summary>An action to time.</summary>
/// <param name="Run">Runs one measured unit.</param>
/// <param name="Prepare">
/// Called before <paramref name="Run"/>, untimed. Creates the conditions of a long run, which last until the result is disposed of.
/// </param>
internal sealed record Contender(Action Run, Func<IDisposable?>? Prepare = null);
