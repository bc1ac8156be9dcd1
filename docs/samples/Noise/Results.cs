using System.Globalization;

namespace Noise;

/// <summary>The figures of all runs, in a CSV file: an interrupted comparison continues where it ended.</summary>
internal sealed class Results
{
    private readonly string _path;
    private readonly Dictionary<Run, Figures> _figures = [];

    /// <param name="path">The file; created with its folder if it does not exist.</param>
    public Results(string path)
    {
        _path = path;
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        if (!File.Exists(path))
            return;
        foreach (var line in File.ReadLines(path))
        {
            var fields = line.Split(';');
            _figures[new Run(fields[0], fields[1], fields[2], int.Parse(fields[3], CultureInfo.InvariantCulture))] =
                new Figures(Parse(fields[4]), Parse(fields[5]));
        }
    }

    /// <summary>The figures of a run; null if it is still to be trained.</summary>
    public Figures? Find(Run run) => _figures.TryGetValue(run, out var figures) ? figures : null;

    /// <summary>The figures of a method, in the order of the seeds.</summary>
    public Figures[] Of(string set, string noise, string method) =>
        [.. _figures.Where(f => (f.Key.Set, f.Key.Noise, f.Key.Method) == (set, noise, method))
            .OrderBy(f => f.Key.Seed).Select(f => f.Value)];

    /// <summary>Adds a run.</summary>
    public void Add(Run run, Figures figures)
    {
        _figures[run] = figures;
        File.AppendAllText(_path, string.Create(
            CultureInfo.InvariantCulture,
            $"{run.Set};{run.Noise};{run.Method};{run.Seed};{figures.Accuracy:0.0000};{figures.LogLoss:0.0000}\n"));
    }

    private static double Parse(string text) => double.Parse(text, CultureInfo.InvariantCulture);
}

/// <summary>A run of the comparison.</summary>
internal readonly record struct Run(string Set, string Noise, string Method, int Seed);

/// <summary>What a run reached on the test images.</summary>
/// <param name="Accuracy">In percent.</param>
/// <param name="LogLoss">The mean of -ln p of the true class.</param>
internal readonly record struct Figures(double Accuracy, double LogLoss);
