using System.Globalization;
using System.Text;
using Common;
using MathNet.Numerics.Distributions;

namespace Noise;

/// <summary>Runs the methods and writes the tables: every method's figures, and the paired differences of docs/protocol.md.</summary>
internal sealed class Comparison(Results results, IReadOnlyList<LabelNoise> noises, int seeds, Action<string> progress)
{
    /// <summary>Seeds below were used in development.</summary>
    public const int FirstSeed = 2001;

    private const double Confidence = 0.95;

    private readonly List<Difference> _differences = [];

    /// <summary>Trains what is missing.</summary>
    public void Train(NoisySet set, LabelNoise noise)
    {
        for (var seed = FirstSeed; seed < FirstSeed + seeds; seed++)
        {
            Lazy<Draw> draw = new(() => set.Draw(seed, noise));
            foreach (var method in Method.All())
            {
                var run = new Run(set.Name, noise.Name, method.Name, seed);
                if (results.Find(run) is not null)
                    continue;
                var trained = method.Run(draw.Value);
                results.Add(run, new Figures(100 * trained.Accuracy, trained.LogLoss));
                progress($"{set.Name}, {noise.Name}, seed {seed}: {method.Name}, {100 * trained.Accuracy:0.0} %");
            }
        }
    }

    /// <summary>The table of a set: mean ± deviation of the accuracy, and the mean log-loss.</summary>
    public string Table(NoisySet set)
    {
        var methods = Method.All();
        var table = new StringBuilder();
        table.Append(CultureInfo.InvariantCulture, $"### {set.Name}\n\n");
        table.Append("| method | compute |").AppendJoin("|", noises.Select(noise => $" {noise.Name} ")).Append("|\n|---|---|");
        table.Append(string.Concat(noises.Select(_ => "---|"))).Append('\n');
        foreach (var method in methods)
        {
            var name = method.Role switch
            {
                Role.Recommended => $"**{method.Name}**",
                Role.Baseline or Role.Ensemble => $"*{method.Name}*",
                _ => method.Name,
            };
            table.Append(CultureInfo.InvariantCulture, $"| {name} | {method.Cost} |");
            foreach (var noise in noises)
            {
                var figures = results.Of(set.Name, noise.Name, method.Name);
                double[] accuracies = [.. figures.Select(f => f.Accuracy)];
                table.Append(CultureInfo.InvariantCulture,
                    $" {accuracies.Average():0.0} ± {accuracies.StandardDeviation():0.0} ({figures.Average(f => f.LogLoss):0.00}) |");
            }
            table.Append('\n');
        }
        foreach (var role in (Role[])[Role.Baseline, Role.Ensemble])
            foreach (var noise in noises)
                _differences.Add(Compare(set, noise, methods, role));
        return table.Append('\n').ToString();
    }

    /// <summary>The paired differences of all sets so far, with Holm's correction over all of them.</summary>
    public string Differences() =>
        Differences("The recommended setting against the best single network of equal compute", Role.Baseline)
        + Differences("The recommended setting against three networks of equal compute", Role.Ensemble);

    private string Differences(string title, Role role)
    {
        var table = new StringBuilder();
        table.Append(CultureInfo.InvariantCulture, $"### {title}\n\n");
        table.Append("| set | labels | compared with | difference, points | 95 % interval | p | result |\n|---|---|---|---|---|---|---|\n");
        var significant = Holm();
        Difference[] differences = [.. _differences.Where(difference => difference.Role == role)];
        foreach (var difference in differences)
        {
            var result = difference.Low > 0 ? "won" : difference.High < 0 ? "lost" : "tied";
            var corrected = result == "tied" ? "" : significant.Contains(difference) ? ", also after Holm" : ", not after Holm";
            table.Append(CultureInfo.InvariantCulture,
                $"| {difference.Set} | {difference.Noise} | {difference.Baseline} | {difference.Mean:+0.0;-0.0;0.0} | ");
            table.Append(CultureInfo.InvariantCulture,
                $"{difference.Low:+0.0;-0.0;0.0} to {difference.High:+0.0;-0.0;0.0} | {difference.P:0.000} | {result}{corrected} |\n");
        }
        var (won, lost) = (differences.Count(d => d.Low > 0), differences.Count(d => d.High < 0));
        return table.Append(CultureInfo.InvariantCulture,
            $"\nWon {won}, lost {lost}, tied {differences.Length - won - lost} of {differences.Length}.\n\n").ToString();
    }

    private Difference Compare(NoisySet set, LabelNoise noise, IReadOnlyList<Method> methods, Role role)
    {
        double[] Accuracies(Method method) => [.. results.Of(set.Name, noise.Name, method.Name).Select(f => f.Accuracy)];
        var baseline = methods.Where(m => m.Role == role).MaxBy(m => Accuracies(m).Average())!;
        var recommended = methods.Single(m => m.Role == Role.Recommended);
        double[] differences = [.. Accuracies(recommended).Zip(Accuracies(baseline), (a, b) => a - b)];
        var (mean, error) = (differences.Average(), differences.StandardDeviation() / Math.Sqrt(differences.Length));
        var freedom = Math.Max(1, differences.Length - 1);
        var margin = StudentT.InvCDF(0, 1, freedom, (1 + Confidence) / 2) * error;
        var p = error > 0 ? 2 * (1 - StudentT.CDF(0, 1, freedom, Math.Abs(mean) / error)) : 1;
        return new Difference(role, set.Name, noise.Name, baseline.Name, mean, mean - margin, mean + margin, p);
    }

    /// <summary>The differences that pass Holm's correction.</summary>
    private HashSet<Difference> Holm()
    {
        var passed = new HashSet<Difference>();
        foreach (var (i, difference) in _differences.OrderBy(d => d.P).Index())
        {
            if (difference.P > (1 - Confidence) / (_differences.Count - i))
                break;
            passed.Add(difference);
        }
        return passed;
    }

    private sealed record Difference(
        Role Role, string Set, string Noise, string Baseline, double Mean, double Low, double High, double P);
}
