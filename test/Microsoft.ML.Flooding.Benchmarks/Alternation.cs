using System.Diagnostics;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>Times several actions in turn, so that what disturbs the machine disturbs them all.</summary>
internal static class Alternation
{
    /// <summary>The seconds of every round, an array an action.</summary>
    /// <param name="rounds">Rounds that count; one more before them warms up.</param>
    /// <param name="actions">Each is one measured unit.</param>
    public static double[][] Time(int rounds, params Action[] actions) => Time(rounds, [.. actions.Select(a => new Contender(a))]);

    /// <inheritdoc cref="Time(int, Action[])"/>
    public static double[][] Time(int rounds, params Contender[] actions)
    {
        var seconds = actions.Select(_ => new double[rounds]).ToArray();
        for (var round = -1; round < rounds; round++)
            // The order turns round, so that none always follows the same other.
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

    /// <summary>The seconds of each action, without a round that warms up.</summary>
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

    /// <summary>The median of the rounds' ratios: within a round both saw the same machine.</summary>
    public static double MedianRatio(double[] numerator, double[] denominator) => numerator.Zip(denominator, (n, d) => n / d).Median();
}

/// <summary>What is timed.</summary>
/// <param name="Run">One measured unit.</param>
/// <param name="Prepare">Called before, off the clock: brings about the conditions that a long run works under, for as long as its result lives.</param>
internal sealed record Contender(Action Run, Func<IDisposable?>? Prepare = null);
