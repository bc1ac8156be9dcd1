using System.Diagnostics;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Tests.Pipeline;

namespace Microsoft.ML.Flooding.Tests.Transfer;

/// <summary>The sample OnnxScoring in a separate process: ONNX Runtime without this library.</summary>
[TestClass]
public sealed class OnnxScoringTests
{
    private const string Program = "OnnxScoring";
    private static readonly string[] Classes =
        ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];

    private readonly MLContext _context = new(seed: 1);

    [TestMethod]
    public void Program_without_the_library_gives_the_labels_of_the_transformer()
    {
        using var file = new TemporaryFile(".onnx");
        using var model = ShortRun.Fit(
            _context, Load("train"), o => (o.Architecture, o.Epochs) = (Architecture.ConvNet.WithBaseWidth(4), 2));
        model.SaveAsOnnx(file.Path);
        var expected = model.Transform(Load("t10k")).GetColumn<uint>("PredictedLabel").Select(key => model.Labels[(int)key - 1]).ToArray();
        Assert.HasCount(1000, expected);
        Assert.IsGreaterThan(5, expected.Distinct().Count());

        var lines = Run(file.Path);

        CollectionAssert.AreEqual(expected, lines[..^1]);
        var accuracy = _context.MulticlassClassification.Evaluate(model.Transform(Load("t10k"))).MicroAccuracy;
        StringAssert.StartsWith(lines[^1], FormattableString.Invariant($"{1000 * accuracy:0} of 1000 "));
    }

    [TestMethod]
    public void Program_knows_neither_the_library_nor_TorchSharp()
    {
        var files = Directory.GetFiles(ProgramFolder, "*.dll", SearchOption.AllDirectories).Select(f => Path.GetFileName(f)!).ToArray();
        CollectionAssert.Contains(files, "Microsoft.ML.OnnxRuntime.dll");
        Assert.IsFalse(
            files.Any(f => f.Contains("Flooding", StringComparison.Ordinal) || f.Contains("Torch", StringComparison.OrdinalIgnoreCase)),
            string.Join(", ", files));
    }

    private static string ProgramFolder
    {
        get
        {
            // .../test/Microsoft.ML.Flooding.Tests/bin/Debug/net10.0 to .../docs/samples/OnnxScoring/bin/Debug/net10.0
            var own = new DirectoryInfo(AppContext.BaseDirectory);
            var root = own.Parent!.Parent!.Parent!.Parent!.Parent!.FullName;
            return Path.Combine(root, "docs", "samples", Program, "bin", own.Parent.Name, own.Name);
        }
    }

    private IDataView Load(string part) => _context.Data.LoadFromIdx(
        Path.Combine(Fixtures.FashionMnist, $"{part}-images-idx3-ubyte.gz"),
        Path.Combine(Fixtures.FashionMnist, $"{part}-labels-idx1-ubyte.gz"), Classes);

    private static string[] Run(string model)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(Path.Combine(ProgramFolder, Program + ".dll"));
        start.ArgumentList.Add(model);
        start.ArgumentList.Add(Fixtures.FashionMnist);
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.AreEqual(0, process.ExitCode, errors.Result);
        return output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
    }
}
