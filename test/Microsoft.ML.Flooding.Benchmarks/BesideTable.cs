using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>
/// `bench beside`: Fit and Predict alone, beside two busy processes, and two at once, with threads of libtorch that sleep while they wait
/// (as the library sets OMP_WAIT_POLICY) and with threads that spin. Each figure is measured in processes of this executable.
/// </summary>
internal static class BesideTable
{
    /// <summary>The first argument of the processes.</summary>
    public const string Verb = "beside-process";

    private const int Busy = 2;
    private const int Rounds = 3;
    private static readonly ImageShape Shape = new(32, 32, 3);

    public static void Print(TextWriter output)
    {
        output.WriteLine(Machine.Description);
        output.WriteLine();
        output.WriteLine("| Work | Threads that wait | Alone | Beside two busy processes | Two at once |");
        output.WriteLine("|---|---|---:|---:|---:|");
        foreach (var (work, unit) in new[] { ("fit", "s"), ("predict", "ms, 99 %") })
        {
            foreach (var policy in work == "fit" ? ["PASSIVE", "ACTIVE"] : new[] { "PASSIVE" })
            {
                var figures = new List<double>[] { [], [], [] };
                for (var round = 0; round < Rounds; round++)
                {
                    figures[0].AddRange(Run(work, policy, count: 1, busy: 0));
                    figures[1].AddRange(Run(work, policy, count: 1, Busy));
                    figures[2].AddRange(Run(work, policy, count: 2, busy: 0));
                }
                output.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"| {work}, {unit} | {(policy == "PASSIVE" ? "sleep" : "spin")} | {figures[0].Median():0.00} "
                    + $"| {figures[1].Median():0.00} | {figures[2].Median():0.00} |"));
            }
        }
    }

    /// <summary>Does the work of one process, and writes its figure.</summary>
    public static void Work(string work)
    {
        if (work == "busy")
        {
            while (true)
            {
            }
        }
        OwnProcess.Write(work == "fit" ? Fit() : Predict());
    }

    private static double[] Run(string work, string policy, int count, int busy)
    {
        var others = Enumerable.Range(0, busy).Select(_ => Start("busy", policy)).ToArray();
        try
        {
            var processes = Enumerable.Range(0, count).Select(_ => Start(work, policy)).ToArray();
            return Array.ConvertAll(processes, process =>
            {
                using (process)
                    return OwnProcess.Figures(process)[0];
            });
        }
        finally
        {
            foreach (var other in others)
            {
                other.Kill();
                other.Dispose();
            }
        }
    }

    private static Process Start(string work, string policy) =>
        // Without the variable, the library sets it.
        OwnProcess.Start([Verb, work], ("OMP_WAIT_POLICY", policy == "PASSIVE" ? null : policy));

    private static double Fit()
    {
        var context = new MLContext(seed: 1);
        var random = new Random(1);
        var rows = Enumerable.Range(0, 256).Select(i =>
        {
            var row = new Row { Label = (uint)(i % 10) };
            random.NextBytes(row.Features);
            return row;
        }).ToArray();
        var data = context.Data.LoadFromEnumerable(rows);
        var start = Stopwatch.GetTimestamp();
        using var model = context.Transforms.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
        {
            Architecture = Architecture.ConvNet,
            Epochs = 2,
            ValidationSetFraction = null,
        }).Fit(data);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static double Predict()
    {
        var context = new MLContext();
        using var model = ServingTable.CreateModel(context, Architecture.ResNet18, Shape, 10, ScoringEngine.OnnxRuntime);
        using var engine = context.Model.CreatePredictionEngine<Row, Scores>(
            model, new PredictionEngineOptions { OwnsTransformer = false });
        var row = new Row();
        var times = new List<double>();
        for (var i = -20; i < 300; i++)
        {
            var start = Stopwatch.GetTimestamp();
            engine.Predict(row);
            if (i >= 0)
                times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        return times.Order().ElementAt((int)(0.99 * (times.Count - 1)));
    }

    private sealed class Row
    {
        [KeyType(10)]
        public uint Label { get; set; }

        [VectorType(32, 32, 3)]
        public byte[] Features { get; set; } = new byte[32 * 32 * 3];
    }

    private sealed class Scores
    {
        public float[] Score { get; set; } = [];
    }
}
