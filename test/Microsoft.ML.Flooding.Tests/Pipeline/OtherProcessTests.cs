using System.Diagnostics;
using System.Text.Json.Nodes;
using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Tests.Pipeline;

/// <summary>The Consumer project in a separate process: a program that knows only Microsoft.ML and a model file.</summary>
[TestClass]
public sealed class OtherProcessTests
{
    private const string Program = "Microsoft.ML.Flooding.Tests.Consumer";
    private const string OnnxProgram = "Microsoft.ML.Flooding.Tests.OnnxConsumer";
    private const string Trainer = "Microsoft.ML.Flooding.Tests.Trainer";
    private const int Count = 12;
    private readonly MLContext _context = new(seed: 1);

    [TestMethod]
    public void Another_process_loads_a_model_and_scores_the_same_bits()
    {
        using var files = new ImageFiles(Count, isTinted: true);
        var data = Encoded(files);
        using var model = ShortRun.Fit(_context, data, Columns);
        AssertSameBits(files, model, data);
    }

    [TestMethod]
    public void Another_process_loads_a_chain_around_a_model_and_scores_the_same_bits()
    {
        using var files = new ImageFiles(Count, isTinted: true);
        var data = _context.Data.LoadFromEnumerable(files.Rows);
        using var model = _context.Transforms.Conversion.MapValueToKey("Label", "Class").Fit(data) is var labels
            ? _context.Transforms.LoadRawImageBytes("Image", files.Folder, "ImagePath")
                .Append(_context.Transforms.FloodedImageClassification(ShortRun.Options(Columns)))
                .Append(_context.Transforms.Conversion.MapKeyToValue("Predicted", "PredictedLabel"))
                .Fit(labels.Transform(data))
            : null!;
        AssertSameBits(files, model, data);
    }

    [TestMethod]
    public void Without_libtorch_another_process_is_told_which_package_to_add()
    {
        using var files = new ImageFiles(Count);
        var data = Encoded(files);
        using var model = ShortRun.Fit(_context, data, Columns);
        var folder = Directory.CreateDirectory(Path.Combine(files.Folder, "program"));
        CopyWithoutBackEnd(ProgramFolder(Program), folder.FullName, Program);

        // TorchSharp would look in the package cache of the build machine, which does not exist where applications run.
        var packages = Directory.CreateDirectory(Path.Combine(files.Folder, "packages"));

        AssertTold(Run(folder.FullName, Program, Arguments(files, model, data), ("NUGET_PACKAGES", packages.FullName)));
    }

    [TestMethod]
    public void Without_libtorch_a_script_is_told_the_same()
    {
        using var files = new ImageFiles(1);
        var folder = Directory.CreateDirectory(Path.Combine(files.Folder, "program"));
        CopyWithoutBackEnd(ProgramFolder(Trainer), folder.FullName, Trainer);
        var packages = Directory.CreateDirectory(Path.Combine(files.Folder, "packages"));
        var script = Path.Combine(files.Folder, "model.pt");
        File.WriteAllBytes(script, Networks.TorchScriptArchive.Linear(12, 3));
        AssertTold(Run(folder.FullName, Trainer, ["script", script], ("NUGET_PACKAGES", packages.FullName)));
    }

    [TestMethod]
    [DataRow(null, null, "PASSIVE")]
    [DataRow("ACTIVE", null, "ACTIVE")]
    [DataRow(null, "ACTIVE", "ACTIVE")]
    public void Threads_of_libtorch_do_not_spin_unless_the_application_wants_it(string? user, string? application, string expected)
    {
        if (OperatingSystem.IsWindows())
            Assert.Inconclusive("The test reads the variable from the C library of Linux or macOS.");
        var (exitCode, output, errors) = Run(
            ProgramFolder(Trainer), Trainer, application is null ? ["waiting"] : ["waiting", application], ("OMP_WAIT_POLICY", user));
        Assert.AreEqual(0, exitCode, errors);
        Assert.AreEqual(expected, output.Trim());
    }

    private static void AssertTold((int ExitCode, string Output, string Errors) run)
    {
        Assert.AreNotEqual(0, run.ExitCode);
        StringAssert.Contains(run.Errors, "libtorch, TorchSharp's native library, cannot be loaded");
        StringAssert.Contains(run.Errors, "TorchSharp-cpu");
        Assert.IsFalse(
            run.Errors.Contains("LoadNativeBackend", StringComparison.Ordinal),
            $"TorchSharp's page-long account is not shown:\n{run.Errors}");
    }

    private static string ProgramFolder(string program)
    {
        // .../Microsoft.ML.Flooding.Tests/bin/Debug/net10.0 beside .../Microsoft.ML.Flooding.Tests.Consumer/bin/Debug/net10.0
        var own = new DirectoryInfo(AppContext.BaseDirectory);
        return Path.Combine(own.Parent!.Parent!.Parent!.Parent!.FullName, program, "bin", own.Parent.Name, own.Name);
    }

    [TestMethod]
    public void Without_libtorch_a_process_scores_the_same_bits_with_ONNX_Runtime()
    {
        using var files = new ImageFiles(Count, isTinted: true);
        var data = Encoded(files);
        using var model = ShortRun.Fit(
            _context, data, o => (o.FeatureColumnName, o.ScoringEngine) = ("Image", ScoringEngine.OnnxRuntime));
        var folder = ProgramFolder(OnnxProgram);
        var packages = Directory.CreateDirectory(Path.Combine(files.Folder, "packages"));

        var (exitCode, output, errors) = Run(
            folder, OnnxProgram, Arguments(files, model, data), ("NUGET_PACKAGES", packages.FullName));

        Assert.AreEqual(0, exitCode, errors);
        Assert.AreEqual("", errors);
        var found = Directory.EnumerateFiles(folder, "*torch*", SearchOption.AllDirectories).Select(Path.GetFileName);
        CollectionAssert.DoesNotContain(found.ToArray(), "libtorch_cpu.so", "The program must not have libtorch.");
        var lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        string[] Lines(string start) =>
            [.. lines.Where(line => line.StartsWith(start + ' ', StringComparison.Ordinal)).Select(line => line[(start.Length + 1)..])];

        var batched = model.Transform(data).GetColumn<float[]>("Score").Select(Bits).ToArray();
        using var engine = _context.Model.CreatePredictionEngine<Input, Scored>(model);
        var single = files.Rows.Select(row => Bits(engine.Predict(new Input { Image = File.ReadAllBytes(files.PathOf(row)) }).Score))
            .ToArray();
        CollectionAssert.AreEqual(batched, Lines("cursor"));
        CollectionAssert.AreEqual(single, Lines("engine"));
        CollectionAssert.AreEqual(Enumerable.Repeat(single, 4).SelectMany(bits => bits).ToArray(), Lines("thread"));
        CollectionAssert.AreEqual(single, Lines("copy"));
        Assert.IsTrue(double.IsFinite(double.Parse(Lines("log-loss").Single(), System.Globalization.CultureInfo.InvariantCulture)));
        Assert.AreEqual($"{model.Model.Shapes.Count} {model.Model.GetValues(model.Model.Shapes[0].Key).Length}", Lines("weights").Single());
        Assert.AreEqual("engine OnnxRuntime", Lines("scoring").Single());
        StringAssert.Contains(Lines("refused").Single(), "libtorch, TorchSharp's native library, cannot be loaded");
        CollectionAssert.AreEqual(Array.Empty<string>(), Lines("loaded"));

        var usual = ProgramFolder(Program);
        Console.WriteLine($"Program without libtorch: {SizeOf(folder):0} MB on disk, {Lines("memory").Single()} in memory.");
        Console.WriteLine($"Program with libtorch: {SizeOf(usual):0} MB on disk.");
        Assert.IsLessThan(SizeOf(usual) / 3, SizeOf(folder));
    }

    /// <summary>The megabytes of a program for this platform.</summary>
    private static double SizeOf(string folder)
    {
        var runtimes = Path.Combine(folder, "runtimes") + Path.DirectorySeparatorChar;
        var own = Path.Combine(runtimes, System.Runtime.InteropServices.RuntimeInformation.RuntimeIdentifier) + Path.DirectorySeparatorChar;
        return Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
            .Where(file => !file.StartsWith(runtimes, StringComparison.Ordinal) || file.StartsWith(own, StringComparison.Ordinal))
            .Sum(file => new FileInfo(file).Length) / 1e6;
    }

    // The program has no ONNX Runtime.
    private static void Columns(FloodedImageClassificationTrainer.Options options) =>
        (options.FeatureColumnName, options.ScoringEngine) = ("Image", ScoringEngine.LibTorch);

    private IDataView Encoded(ImageFiles files)
    {
        var rows = _context.Data.LoadFromEnumerable(files.Rows);
        return _context.Transforms.LoadRawImageBytes("Image", files.Folder, "ImagePath")
            .Append(_context.Transforms.Conversion.MapValueToKey("Label", "Class")).Fit(rows).Transform(rows);
    }

    private void AssertSameBits(ImageFiles files, ITransformer model, IDataView data)
    {
        var (exitCode, output, errors) = Run(ProgramFolder(Program), Program, Arguments(files, model, data));
        Assert.AreEqual(0, exitCode, errors);

        var lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var scored = model.Transform(data);
        CollectionAssert.AreEqual(scored.GetColumn<float[]>("Score").Select(Bits).ToArray(), lines[..Count].Select(BitsOf).ToArray());
        var names = default(VBuffer<ReadOnlyMemory<char>>);
        scored.Schema["Score"].GetSlotNames(ref names);
        CollectionAssert.AreEqual(
            scored.GetColumn<uint>("PredictedLabel").Select(key => names.GetItemOrDefault((int)key - 1).ToString()).ToArray(),
            lines[..Count].Select(line => line.Split(' ')[0]).ToArray());

        using var engine = _context.Model.CreatePredictionEngine<Input, Scored>(model);
        var single = files.Rows.Select(
            row => engine.Predict(new Input { ImagePath = row.ImagePath, Image = File.ReadAllBytes(files.PathOf(row)) }));
        CollectionAssert.AreEqual(single.Select(s => Bits(s.Score)).ToArray(), lines[Count..].Select(BitsOf).ToArray());

        static string BitsOf(string line) => line[(line.IndexOf(' ', StringComparison.Ordinal) + 1)..];
    }

    private static string Bits(float[] score) => string.Join(' ', score.Select(BitConverter.SingleToUInt32Bits));

    private string[] Arguments(ImageFiles files, ITransformer model, IDataView data)
    {
        var path = Path.Combine(files.Folder, "model.zip");
        _context.Model.Save(model, data.Schema, path);
        return [path, .. files.Rows.Select(files.PathOf)];
    }

    private static (int ExitCode, string Output, string Errors) Run(
        string folder, string program, string[] arguments, params (string Name, string? Value)[] environment)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(Path.Combine(folder, program + ".dll"));
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, errors.Result);
    }

    /// <summary>Creates the output of a program whose project references no back end.</summary>
    private static void CopyWithoutBackEnd(string source, string target, string program)
    {
        static bool IsBackEnd(string name) =>
            name.StartsWith("libtorch-c", StringComparison.Ordinal) || name.StartsWith("TorchSharp-c", StringComparison.Ordinal);
        foreach (var file in Directory.EnumerateFiles(source))
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
        var dependencies = Path.Combine(target, program + ".deps.json");
        var json = JsonNode.Parse(File.ReadAllText(dependencies))!;
        var backEnds = json["libraries"]!.AsObject().Select(library => library.Key).Where(IsBackEnd).ToArray();
        Assert.IsNotEmpty(backEnds);
        var targets = json["targets"]!.AsObject().Select(t => t.Value!.AsObject()).ToArray();
        foreach (var libraries in targets.Append(json["libraries"]!.AsObject()))
        {
            foreach (var (name, library) in libraries.ToArray())
            {
                if (IsBackEnd(name))
                    libraries.Remove(name);
                else if (library!["dependencies"]?.AsObject() is { } needed)
                    foreach (var package in needed.Select(n => n.Key).Where(IsBackEnd).ToArray())
                        needed.Remove(package);
            }
        }
        File.WriteAllText(dependencies, json.ToJsonString());

        // Every native library that is still named must exist, or the host does not start the program.
        var assets = targets.SelectMany(t => t).SelectMany(l => l.Value!["runtimeTargets"]?.AsObject().Select(a => a.Key) ?? []);
        foreach (var asset in assets)
        {
            var copy = Path.Combine(target, asset);
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(Path.Combine(source, asset), copy);
        }
    }

    private sealed class Input
    {
        public string ImagePath { get; set; } = "";

        public byte[] Image { get; set; } = [];
    }

    private sealed class Scored
    {
        public float[] Score { get; set; } = [];
    }
}
