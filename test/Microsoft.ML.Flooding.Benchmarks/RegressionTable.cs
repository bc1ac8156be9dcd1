using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Flooding.Runtime;
using Spectre.Console;
using TorchSharp;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>`bench`: rows with a bound, which a change must not miss.</summary>
internal static class RegressionTable
{
    /// <summary>Measures rows and prints them. Returns the exit code.</summary>
    /// <param name="args">The rows; empty for all of them.</param>
    public static int Print(string[] args)
    {
        IReadOnlyList<Row> rows = [.. TrainingRows.All, .. AccuracyRows.All, .. SearchRows.All, .. MemoryRows.All, .. ScoringRows.All];
        var names = string.Join(", ", rows.Select(r => r.Name));
        if (args.Contains("--help"))
        {
            Console.WriteLine("bench: measure all rows. bench ROW...: measure some rows. bench architectures: measure the cost of each network.");
            Console.WriteLine("bench serving [NETWORK...|first]: compare scoring with ONNX Runtime alone and with ML.NET's ApplyOnnxModel.");
            Console.WriteLine("bench photos SET...: train on folders of photos, with ML.NET's featurizer and with this library (--help: options).");
            Console.WriteLine("bench limits: the limits of this machine, and training as a share of them.");
            Console.WriteLine("bench growth [million]: time and memory for more and more images and classes.");
            Console.WriteLine("bench tuning [read|features|epoch|fit]: reading photos and fine-tuning, beside what a user would do instead.");
            Console.WriteLine("bench ranks: the steps of one process and a prediction for several; by mpirun, the steps of its processes.");
            Console.WriteLine("bench beside: training and scoring beside other work on the same processors.");
            Console.WriteLine($"The rows: {names}.");
            return 0;
        }

        var chosen = args.Length == 0 ? rows : [.. rows.Where(r => args.Contains(r.Name))];
        if (chosen.Count < Math.Max(args.Length, 1))
        {
            Console.Error.WriteLine($"There is no row {string.Join(", ", args.Except(rows.Select(r => r.Name)))}. Choose from {names}.");
            return 2;
        }

        var table = new Table().AddColumns("Row", "Workload", "Ours", "Baseline", "Bare libtorch", "Ratio", "Bound").RoundedBorder();
        table.Columns[5].RightAligned();
        var missed = new List<string>();
        var bfloat16 = NativeBFloat16.IsSupportedOn(torch.CPU);
        foreach (var row in chosen)
        {
            if (row.NeedsBFloat16 && !bfloat16)
            {
                table.AddRow(row.Name, Markup.Escape(row.Workload), "not measured: this processor emulates bfloat16", "", "", "", "");
                continue;
            }
            Console.Error.Write($"{row.Name} ... ");
            var start = Stopwatch.GetTimestamp();
            var figure = row.Measure();
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Stopwatch.GetElapsedTime(start).TotalSeconds:0} s"));
            var met = row.IsMet(figure);
            if (!met)
                missed.Add(row.Name);
            table.AddRow(
                row.Name, Markup.Escape(row.Workload), figure.Ours, figure.Baseline, figure.LibTorch,
                string.Create(CultureInfo.InvariantCulture, $"{(met ? "" : "[red]")}{figure.Value:0.000}{(met ? "" : "[/]")}"),
                string.Create(CultureInfo.InvariantCulture, $"{(row.IsFloor ? ">=" : "<=")} {row.Bound}"));
        }

        AnsiConsole.Profile.Width = Math.Max(AnsiConsole.Profile.Width, 160);
        AnsiConsole.Write(table);
        if (missed.Count == 0)
            return 0;
        Console.Error.WriteLine($"Bound missed: {string.Join(", ", missed)}");
        return 1;
    }
}
