using Spectre.Console;

namespace Common;

/// <summary>A table of methods, each run with several seeds: every cell shows the mean of a figure and its standard deviation.</summary>
/// <param name="title">The title of the table.</param>
/// <param name="figures">The heading and the number format of each figure.</param>
public sealed class SeedTable(string title, params (string Heading, string Format)[] figures)
{
    private readonly OrderedDictionary<string, List<double[]>> _runs = [];

    /// <summary>Adds the figures of one run. The rows of the table have the order in which their methods are first added.</summary>
    public void Add(string method, params double[] values)
    {
        _runs.TryAdd(method, []);
        _runs[method].Add(values);
    }

    public Table ToTable()
    {
        var table = new Table().RoundedBorder().Title(title)
            .AddColumns(["mean ± deviation over the seeds", .. figures.Select(figure => figure.Heading)]);
        foreach (var (method, runs) in _runs)
            table.AddRow([method, .. figures.Select((figure, i) => Cell([.. runs.Select(values => values[i])], figure.Format))]);
        return table;
    }

    private static string Cell(double[] values, string format)
    {
        var mean = values.Average().ToString(format);
        return values.Length < 2 ? mean : $"{mean} ± {values.StandardDeviation().ToString(format)}";
    }
}
