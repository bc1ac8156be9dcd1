using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Mlflood.Tests;

/// <summary>The tool as a user runs it.</summary>
[TestClass]
public sealed partial class ToolTests
{
    private static string _folder = "";

    /// <summary>Trains a model that all tests use.</summary>
    [ClassInitialize]
    public static void Train(TestContext context)
    {
        _folder = Directory.CreateTempSubdirectory("mlflood-tests-").FullName;
        Photos.Write(Path.Combine(_folder, "photos"), "train", 40);
        Photos.Write(Path.Combine(_folder, "new"), "t10k", 10);
        var result = Run("train", "photos", "-o", "clothes.zip", "--epochs", "8", "--seed", "1", "--report", "train.html").Expect(0);
        foreach (var text in new[] { "Held-out images", "accuracy", "log-loss", "expected calibration error", "1 dress", "Wrote" })
            StringAssert.Contains(result.Output, text);
        StringAssert.Contains(result.Error, "Training on 128 images of 4 classes.");
        StringAssert.Contains(result.Error, "epoch 8/8");
        Assert.IsFalse(result.Output.Contains("epoch 8/8", StringComparison.Ordinal), "progress is not a result");
        Assert.IsTrue(File.Exists(Path.Combine(_folder, "train.html")));
    }

    [ClassCleanup]
    public static void Delete() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    public void Evaluate_shows_figures_confusions_and_mistakes_with_file_names()
    {
        var result = Run("evaluate", "clothes.zip", "new", "--report", "evaluate.html").Expect(0);
        StringAssert.Contains(result.Output, "The worst mistakes");
        StringAssert.Matches(result.Output, new(@"(dress|pullover|trouser|tshirt).\d{3}\.png"));
        StringAssert.Matches(result.Output, new(@"images\s+│\s+40"));
        StringAssert.Contains(File.ReadAllText(Path.Combine(_folder, "evaluate.html")), "<html");
    }

    [TestMethod]
    public void Predict_takes_files_folders_and_standard_input()
    {
        var files = Run("predict", "clothes.zip", "new/dress/000.png", "new/trouser/001.png", "--top", "2").Expect(0);
        var lines = files.Output.Trim().Split('\n');
        Assert.HasCount(2, lines);
        StringAssert.Matches(lines[0], new(@"^new/dress/000\.png: \w+ \d+\.\d %, \w+ \d+\.\d %$"));
        Assert.HasCount(40, Run("predict", "clothes.zip", "new").Expect(0).Output.Trim().Split('\n'));

        using var piped = ToolProcess.Start(_folder, ["predict", "clothes.zip", "-", "--json", "--top", "4"]);
        var result = piped.Finish("new/dress/000.png\nnew/trouser/001.png\n").Expect(0);
        var json = result.Output.Trim().Split('\n').Select(line => JsonDocument.Parse(line).RootElement).ToArray();
        Assert.AreEqual("new/trouser/001.png", json[1].GetProperty("file").GetString());
        var predictions = json[0].GetProperty("predictions").EnumerateArray().ToArray();
        CollectionAssert.AreEquivalent(Photos.Classes.ToList(), predictions.Select(p => p.GetProperty("label").GetString()).ToList());
        Assert.AreEqual(1, predictions.Sum(p => p.GetProperty("probability").GetDouble()), 1e-5);
    }

    [TestMethod]
    public void A_file_that_is_no_image_is_an_error_and_the_others_are_predicted()
    {
        File.WriteAllText(Path.Combine(_folder, "text.jpg"), "no image");
        var result = Run("predict", "clothes.zip", "new/dress/000.png", "text.jpg", "nothing.jpg", "new/dress/001.png").Expect(2);
        Assert.HasCount(2, result.Output.Trim().Split('\n'));
        StringAssert.Contains(result.Error, "error: text.jpg: the image cannot be read");
        StringAssert.Contains(result.Error, "error: nothing.jpg: Could not find file");

        var json = Run("predict", "clothes.zip", "text.jpg", "--json").Expect(2);
        StringAssert.Contains(JsonDocument.Parse(json.Output).RootElement.GetProperty("error").GetString()!, "cannot be read");
    }

    [TestMethod]
    public void Inspect_report_and_export_read_the_model()
    {
        var inspected = Run("inspect", "clothes.zip").Expect(0).Output;
        foreach (var text in new[] { "convnet", "28 x 28", "4: dress, pullover, trouser, tshirt", "Epochs = 8" })
            StringAssert.Contains(inspected, text);

        Run("report", "clothes.zip", "-o", "report.html", "--plots", "plots").Expect(0);
        Assert.IsTrue(File.Exists(Path.Combine(_folder, "plots", "losses.png")));

        Run("export", "clothes.zip", "--onnx", "clothes.onnx", "--safetensors", "clothes.safetensors").Expect(0);
        Assert.IsGreaterThan(100_000, new FileInfo(Path.Combine(_folder, "clothes.onnx")).Length);
        string[] weights = ["--pretrained-weights", "clothes.safetensors", "--architecture", "convnet"];
        Run(["train", "photos", "-o", "again.zip", "--epochs", "1", .. weights]).Expect(0);
        StringAssert.Contains(Run("export", "clothes.zip").Expect(1).Error, "There is nothing to export");
    }

    [TestMethod]
    public void Search_compares_levels()
    {
        var result = Run("search", "photos", "--epochs", "2", "--flood-levels", "Create:0.5:1.2", "-o", "best.zip").Expect(0);
        StringAssert.Contains(result.Output, "Flood levels, by validation data");
        StringAssert.Contains(result.Output, "chosen");
        StringAssert.Contains(result.Output, "■");
        Assert.IsTrue(File.Exists(Path.Combine(_folder, "best.zip")));
    }

    [TestMethod]
    public void Ctrl_C_saves_the_model_as_trained_so_far_and_twice_ends_at_once()
    {
        if (OperatingSystem.IsWindows())
            return;
        using var once = ToolProcess.Start(_folder, ["train", "photos", "-o", "stopped.zip", "--epochs", "10000"]);
        once.WaitFor("epoch 2/10000");
        once.Interrupt();
        var result = once.Finish().Expect(3);
        StringAssert.Contains(result.Error, "Stopping after this step");
        StringAssert.Contains(result.Output, "Wrote " + Path.Combine(_folder, "stopped.zip"));
        Run("predict", "stopped.zip", "new/dress/000.png").Expect(0);

        using var twice = ToolProcess.Start(_folder, ["train", "photos", "-o", "ended.zip", "--epochs", "10000", "--batch-size", "1"]);
        twice.WaitFor("epoch 1/10000");
        twice.Interrupt();
        twice.WaitFor("Stopping after this step");
        twice.Interrupt();
        var code = twice.Finish().ExitCode;
        // The first may already have ended the training.
        Assert.IsTrue(code is 130 or 3, $"{code}");
    }

    [TestMethod]
    [DataRow("train", 1, "DATA")]
    [DataRow("trian photos", 1, "Did you mean one of the following?\ntrain")]
    [DataRow("train photos --epochs many", 1, "--epochs: 'many' is not a whole number")]
    [DataRow("train photos --epochs 0", 1, "--epochs is 0. Option Epochs must be at least 1.")]
    [DataRow("train photos --early-stopping Patience=0", 1, "--early-stopping is 0. Option EarlyStopping.Patience must be at least 1.")]
    [DataRow("train photos --test-fraction 1", 1, "--test-fraction is 1")]
    [DataRow("predict clothes.zip new --top 0", 1, "--top is 0")]
    [DataRow("predict nothing.zip new", 1, "nothing.zip")]
    [DataRow("datasets get imagenet", 1, "fashion-mnist")]
    [DataRow("train nothing", 2, "'nothing' is not a folder")]
    [DataRow("train photos -o nowhere/model.zip", 2, "Create it, or choose another --output.")]
    [DataRow("train photos --pretrained-weights nothing.pth", 2, "nothing.pth")]
    [DataRow("inspect photos/dress/000.png", 2, "000.png")]
    public void Wrong_arguments_are_explained(string line, int exitCode, string message)
    {
        var result = Run(line.Split(' ')).Expect(exitCode);
        StringAssert.Contains(result.Error, message);
        Assert.AreEqual("", result.Output.Trim());
        Assert.IsFalse(result.Error.Contains("   at ", StringComparison.Ordinal), "no stack trace");
    }

    [TestMethod]
    [DataRow("80")]
    [DataRow("50")]
    public void Nothing_is_wider_than_the_screen(string columns)
    {
        string[][] commands =
        [
            ["--help"], ["train", "--help"], ["predict", "--help"], ["inspect", "clothes.zip"], ["evaluate", "clothes.zip", "new"],
        ];
        foreach (var arguments in commands)
        {
            using var tool = ToolProcess.Start(_folder, arguments, ("COLUMNS", columns));
            var output = tool.Finish().Expect(0).Output;
            // An example is a command line, which is not broken.
            var lines = output.Split('\n').Where(line => !line.TrimStart().StartsWith("mlflood ", StringComparison.Ordinal)
                && !line.Contains("| mlflood ", StringComparison.Ordinal));
            var widest = lines.MaxBy(line => line.TrimEnd().Length)!;
            Assert.IsLessThanOrEqualTo(int.Parse(columns, CultureInfo.InvariantCulture), widest.TrimEnd().Length, widest);
        }
    }

    [TestMethod]
    public void Help_has_examples_and_exit_codes()
    {
        var help = Run("train", "--help").Expect(0).Output;
        StringAssert.Contains(help, "Examples:");
        StringAssert.Contains(help, "mlflood train photos -o pets.zip");
        StringAssert.Contains(help, "Exit codes:");
        StringAssert.Contains(help, "--flood-level");
        StringAssert.Contains(help, "Default: 0.03.");
    }

    [TestMethod]
    public void A_terminal_shows_colors_unless_NO_COLOR_is_set()
    {
        if (OperatingSystem.IsWindows())
            return;
        foreach (var hasColor in new[] { true, false })
        {
            var variables = new List<(string, string)> { ("TERM", "xterm-256color") };
            if (!hasColor)
                variables.Add(("NO_COLOR", "1"));
            // script(1) gives the program a terminal.
            using var tool = ToolProcess.Start(
                "script", _folder, ["-qec", $"dotnet {ToolProcess.Program} train nothing", "/dev/null"], [.. variables]);
            var output = tool.Finish().Output;
            StringAssert.Contains(output, "error:");
            Assert.AreEqual(hasColor, ColorCode().IsMatch(output), output);
        }
    }

    [TestMethod]
    public void Shells_can_complete_the_command_line()
    {
        var verbs = Run("[suggest:8]", "mlflood ").Expect(0).Output.Split('\n', StringSplitOptions.TrimEntries);
        foreach (var verb in new[] { "train", "evaluate", "predict", "search", "scaffold" })
            CollectionAssert.Contains(verbs, verb);
        var optimizers = Run("[suggest:26]", "mlflood train --optimizer ").Output.Split('\n', StringSplitOptions.TrimEntries);
        CollectionAssert.Contains(optimizers, "AdamW");
        foreach (var shell in new[] { "bash", "zsh", "fish", "pwsh" })
            StringAssert.Contains(Run("completion", shell).Expect(0).Output, "[suggest:");
    }

    [TestMethod]
    [DataRow("--epcohs", "--epochs")]
    [DataRow("--image-size", "--image-height or --image-width")]
    public void A_misspelled_option_is_the_one_mistake_that_is_reported(string wrong, string meant)
    {
        foreach (var arguments in new[] { ["train", wrong, "3", "photos"], new[] { "train", "photos", wrong + "=3" } })
        {
            var error = Run(arguments).Expect(1).Error;
            StringAssert.StartsWith(error, $"error: There is no option {wrong}. Did you mean {meant}?");
            Assert.IsFalse(error.Contains("'3'", StringComparison.Ordinal), error);
        }
        StringAssert.StartsWith(Run("train", "photos", "--xyz").Expect(1).Error, "error: There is no option --xyz.");
        StringAssert.Contains(Run("trian", "photos").Expect(1).Error, "train");
    }

    [TestMethod]
    public void A_download_that_fails_says_where_to_put_the_file()
    {
        using var server = new System.Net.HttpListener();
        var port = FreePort();
        server.Prefixes.Add($"http://127.0.0.1:{port}/");
        server.Start();
        _ = Task.Run(async () =>
        {
            while (server.IsListening)
            {
                var request = await server.GetContextAsync();
                request.Response.StatusCode = 404;
                request.Response.Close();
            }
        });
        (string, string, string)[] cases = [("datasets", "mnist", "train-images-idx3-ubyte.gz"), ("weights", "ResNet18", "resnet18")];
        foreach (var (verb, name, file) in cases)
        {
            var result = Run(verb, "get", name, "--mirror", $"http://127.0.0.1:{port}", "--folder", "cache").Expect(2);
            StringAssert.Contains(result.Error, "404");
            StringAssert.Contains(result.Error, Path.Combine(_folder, "cache", file));
        }
        StringAssert.Contains(Run("datasets", "list").Expect(0).Output, "kuzushiji-mnist");
        StringAssert.Contains(Run("weights", "list").Expect(0).Output, "ResNet18");
    }

    /// <summary>The escape sequence that chooses a color of the text.</summary>
    [GeneratedRegex("\u001b\\[(3\\d|9\\d)[;m]")]
    private static partial Regex ColorCode();

    private static int FreePort()
    {
        using var listener = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        listener.Start();
        return ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static ToolProcess.Result Run(params string[] arguments) => ToolProcess.Run(_folder, arguments);
}
