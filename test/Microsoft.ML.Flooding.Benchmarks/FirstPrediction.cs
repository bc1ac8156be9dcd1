using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.OnnxRuntime;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>
/// The time from the start of a process to the first score of a saved ResNet-18 (32 x 32), and the memory then, for the bare program with
/// ONNX Runtime and for both engines of the library. Each program is a new process of this executable.
/// </summary>
internal static class FirstPrediction
{
    /// <summary>The first argument of the processes.</summary>
    public const string Verb = "first-prediction";

    private const int Rounds = 7;
    private static readonly string[] Ways = ["bare", "ml.net", "ours", "libtorch"];
    private static readonly ImageShape Shape = new(32, 32, 3);

    // Programs that do what the processes of this executable do, to show their size. "ml.net" is the least that a program with ML.NET takes.
    private static readonly Dictionary<string, string> Programs = new()
    {
        ["bare"] = "docs/samples/OnnxScoring",
        ["ours"] = "test/Microsoft.ML.Flooding.Tests.OnnxConsumer",
        ["libtorch"] = "test/Microsoft.ML.Flooding.Tests.Consumer",
    };

    public static void Print(TextWriter output)
    {
        var folder = Directory.CreateTempSubdirectory().FullName;
        var context = new MLContext();
        using (var model = ServingTable.CreateModel(context, Architecture.ResNet18, Shape, 10, ScoringEngine.Auto))
        using (var libTorch = model.WithScoringEngine(ScoringEngine.LibTorch))
        {
            model.SaveAsOnnx(Path.Combine(folder, "bare"));
            context.Model.SaveSafely(model, null, Path.Combine(folder, "ours"));
            context.Model.SaveSafely(libTorch, null, Path.Combine(folder, "libtorch"));
        }
        var copying = context.Transforms.CopyColumns("Copy", nameof(PixelRow.Features))
            .Fit(context.Data.LoadFromEnumerable([new PixelRow()]));
        context.Model.Save(copying, null, Path.Combine(folder, "ml.net"));
        var measured = Ways.ToDictionary(way => way, _ => new List<double[]>());
        for (var round = -1; round < Rounds; round++)
        {
            foreach (var way in round % 2 == 0 ? Ways : Ways.Reverse())
            {
                var figures = OwnProcess.Run(Verb, way, Path.Combine(folder, way));
                if (round >= 0)
                    measured[way].Add(figures);
            }
        }
        Directory.Delete(folder, recursive: true);
        output.WriteLine();
        output.WriteLine(
            "| Program, ResNet-18, 32 x 32 | First score after start, ms | ratio | Of it: model loaded, ms | Processor time, ms | ratio "
            + "| Peak memory, MB | Size on disk, MB |");
        output.WriteLine("|---|---:|---:|---:|---:|---:|---:|---:|");
        foreach (var way in Ways)
        {
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {way} | {Median(way, 1):0} | {Ratio(way, 1):0.00} | {Median(way, 0):0} | {Median(way, 2):0} | {Ratio(way, 2):0.00} "
                + $"| {Median(way, 3):0} | {(Programs.TryGetValue(way, out var program) ? $"{SizeOf(program):0}" : "")} |"));
        }

        double Ratio(string way, int figure) =>
            Alternation.MedianRatio([.. measured[way].Select(f => f[figure])], [.. measured["bare"].Select(f => f[figure])]);

        double Median(string way, int figure) => measured[way].Select(figures => figures[figure]).Median();
    }

    /// <summary>Runs one of the programs, and writes its figures.</summary>
    public static void Run(string way, string path)
    {
        // The start that the system recorded has a resolution of 10 ms.
        var start = Process.GetCurrentProcess().StartTime;
        var loaded = way switch
        {
            "bare" => Bare(path, start),
            "ml.net" => Copying(path, start),
            _ => Ours(path, start),
        };
        var scored = (DateTime.Now - start).TotalMilliseconds;
        var processor = Environment.CpuUsage.TotalTime.TotalMilliseconds;
        OwnProcess.Write(loaded, scored, processor, ResidentMemory.Peak() / 1e6);
    }

    /// <summary>The megabytes of a program's output for this platform.</summary>
    private static double SizeOf(string program)
    {
        // .../test/Microsoft.ML.Flooding.Benchmarks/bin/Release/net10.0
        var own = new DirectoryInfo(AppContext.BaseDirectory);
        var root = own.Parent!.Parent!.Parent!.Parent!.Parent!.FullName;
        var folder = Path.Combine(root, program, "bin", own.Parent.Name, own.Name);
        var runtimes = Path.Combine(folder, "runtimes") + Path.DirectorySeparatorChar;
        var platform = Path.Combine(runtimes, RuntimeInformation.RuntimeIdentifier) + Path.DirectorySeparatorChar;
        return Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
            .Where(file => !file.StartsWith(runtimes, StringComparison.Ordinal) || file.StartsWith(platform, StringComparison.Ordinal))
            .Sum(file => new FileInfo(file).Length) / 1e6;
    }

    private static double Bare(string path, DateTime start)
    {
        using var session = new InferenceSession(path);
        var loaded = (DateTime.Now - start).TotalMilliseconds;
        using var run = new RunOptions();
        using var input = OrtValue.CreateTensorValueFromMemory(new float[Shape.Length], [1, 3, 32, 32]);
        using var result = session.Run(run, ["image"], [input], ["probabilities"]);
        return loaded;
    }

    /// <summary>A model of ML.NET that copies a column.</summary>
    private static double Copying(string path, DateTime start)
    {
        var context = new MLContext();
        var model = context.Model.Load(path, out _);
        var loaded = (DateTime.Now - start).TotalMilliseconds;
        using var engine = context.Model.CreatePredictionEngine<PixelRow, CopiedRow>(model);
        engine.Predict(new PixelRow());
        return loaded;
    }

    private static double Ours(string path, DateTime start)
    {
        var context = new MLContext();
        var model = context.Model.Load(path, out _);
        var loaded = (DateTime.Now - start).TotalMilliseconds;
        using var engine = context.Model.CreatePredictionEngine<PixelRow, Scores>(model);
        engine.Predict(new PixelRow());
        return loaded;
    }

    private sealed class PixelRow
    {
        [VectorType(32, 32, 3)]
        public byte[] Features { get; set; } = new byte[32 * 32 * 3];
    }

    private sealed class CopiedRow
    {
        public byte[] Copy { get; set; } = [];
    }

    private sealed class Scores
    {
        public float[] Score { get; set; } = [];
    }
}
