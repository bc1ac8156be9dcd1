using System.Diagnostics;
using System.Text.RegularExpressions;
using Microsoft.ML.Flooding.Tests.Pipeline;
using SkiaSharp;

namespace Microsoft.ML.Flooding.Tests.Reports;

[TestClass]
public sealed partial class ReportTests
{
    private static string Folder { get; } = Artifacts.Folder("report");

    private static (TrainingHistory History, ReportOptions Options) Trained { get; set; }

    [ClassInitialize]
    public static void Train(TestContext _)
    {
        var context = new MLContext(seed: 1);
        using var model = context.MulticlassClassification.Trainers.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
        {
            // By log-loss, a flooded run is chosen.
            FloodLevels = FloodLevels.Create(0.05f, 0.2f, 0.5f) with { Metric = ValidationMetric.LogLoss },
            EarlyStopping = null,
            Epochs = 30,
            Architecture = Architecture.Mlp,
            ValidationSetFraction = 0.3,
        }).Fit(FashionMnistData.Train(context, 500));
        var scored = model.Transform(FashionMnistData.Test(context, 400));
        Trained = (model.History, new ReportOptions
        {
            Title = "Fashion-MNIST <sample> & \"quotes\"",
            Calibration = context.MulticlassClassification.EvaluateCalibration(scored),
            ConfusionMatrix = context.MulticlassClassification.Evaluate(scored).ConfusionMatrix,
            Labels = model.Labels,
        });
    }

    [TestMethod]
    public void The_report_is_one_file_that_refers_to_nothing()
    {
        var path = Path.Combine(Folder, "report.html");
        Trained.History.SaveReport(path, Trained.Options);
        var html = File.ReadAllText(path);
        Assert.HasCount(6, SvgElements().Matches(html));
        // The namespace of SVG is a name, not an address that is loaded.
        var addresses = Addresses().Matches(html).Select(m => m.Value)
            .Where(a => !a.StartsWith("http://www.w3.org/", StringComparison.Ordinal)).ToArray();
        Assert.IsEmpty(addresses, string.Join(", ", addresses));
        Assert.IsFalse(References().IsMatch(html));
        StringAssert.Contains(html, "Fashion-MNIST &lt;sample&gt; &amp; &quot;quotes&quot;");
        StringAssert.Contains(html, $"flood level b = {FormattableString.Invariant($"{Trained.History.FloodLevel}")}");
        StringAssert.Contains(html, "Sneaker");
        StringAssert.Contains(html, "BatchSize");
        Assert.IsFalse(html.Contains("rgb(", StringComparison.Ordinal), "A colour does not follow the scheme.");
        Assert.HasCount(Ids().Count(html), Ids().Matches(html).Select(m => m.Value).Distinct());
    }

    [TestMethod]
    [DataRow("light", 1)]
    [DataRow("dark", 0)]
    public void A_browser_opens_it_without_an_error_or_a_request(string scheme, int preferredColorScheme)
    {
        if (Browser.Executable is not { } browser)
        {
            Assert.Inconclusive("No Chromium was found.");
            return;
        }
        var page = Path.Combine(Folder, $"{scheme}.html");
        var screenshot = Path.Combine(Folder, $"{scheme}.png");
        var netLog = Path.Combine(Folder, $"{scheme}-net.json");
        Trained.History.SaveReport(page, Trained.Options);
        File.Delete(screenshot);
        var profile = Directory.CreateTempSubdirectory("flooding-chromium-");
        var start = new ProcessStartInfo(browser)
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
            ArgumentList =
            {
                "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", $"--user-data-dir={profile.FullName}", $"--log-net-log={netLog}",
                "--enable-logging=stderr", $"--blink-settings=preferredColorScheme={preferredColorScheme}", "--window-size=960,4200",
                $"--screenshot={screenshot}", new Uri(page).AbsoluteUri,
            },
        };
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var log = process.StandardError.ReadToEnd();
        process.WaitForExit();
        profile.Delete(recursive: true);
        Assert.AreEqual(0, process.ExitCode, log);
        Assert.IsFalse(log.Contains("CONSOLE", StringComparison.Ordinal), log);
        var requests = Requests().Matches(File.ReadAllText(netLog)).Select(m => m.Value).Distinct().ToArray();
        Assert.IsEmpty(requests, string.Join(", ", requests));

        using var image = SKBitmap.Decode(screenshot);
        image.GetPixel(5, 5).ToHsv(out _, out _, out var paper);
        Assert.IsTrue(scheme == "dark" ? paper < 20 : paper > 90, $"paper of brightness {paper}");
        // Axes, curves and text contrast with the background.
        var ink = Enumerable.Range(0, 500_000).Count(i =>
        {
            image.GetPixel(i % 900 + 30, 200 + i / 900).ToHsv(out _, out _, out var value);
            return Math.Abs(value - paper) > 50;
        });
        Assert.IsGreaterThan(2000, ink);
    }

    [TestMethod]
    public void Plots_are_written_as_png_on_request()
    {
        var folder = Path.Combine(Folder, "plots");
        Trained.History.SavePlots(folder, Trained.Options);
        foreach (var name in new[] { "losses", "accuracy", "flooded", "gradient", "trials", "reliability" })
        {
            using var image = SKBitmap.Decode(Path.Combine(folder, name + ".png"));
            Assert.AreEqual(1720, image.Width);
            Assert.IsGreaterThan(10, image.Pixels.Where((_, i) => i % 7 == 0).Distinct().Count(), name);
        }
    }

    [TestMethod]
    public void Stages_and_water_are_drawn()
    {
        var overfitted = OverfittingStagesTests.Overfitting(noise: 0.03, floodLevel: 0.1f);
        var path = Path.Combine(Folder, "overfitted.html");
        overfitted.SaveReport(path);
        var html = File.ReadAllText(path);
        foreach (var text in new[] { "[A]", "[B]", "[C]", "flood level b = 0.1" })
            StringAssert.Contains(html, text);
        foreach (var role in new[] { "water", "stage-a", "stage-b", "stage-c" })
            StringAssert.Contains(html, $"fill:var(--{role})");
    }

    [TestMethod]
    public void An_untrained_history_is_refused() =>
        Assert.ThrowsExactly<InvalidOperationException>(
            () => new TrainingHistory([], 0, false).SaveReport(Path.Combine(Folder, "none.html")));

    [TestMethod]
    public void One_epoch_without_validation_has_a_report_as_well()
    {
        var history = new TrainingHistory([Trained.History.Epochs[0] with
        {
            ValidationLoss = null,
            ValidationAccuracy = null,
            AveragedValidationLoss = null,
            AveragedValidationAccuracy = null,
        }], 1, false);
        var path = Path.Combine(Folder, "one-epoch.html");
        history.SaveReport(path);
        Assert.HasCount(2, SvgElements().Matches(File.ReadAllText(path)));
    }

    [TestMethod]
    public void TensorBoard_gets_a_value_an_epoch()
    {
        var folder = Directory.CreateTempSubdirectory("flooding-tensorboard-");
        var context = new MLContext(seed: 1);
        using (context.MulticlassClassification.Trainers.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
        {
            Epochs = 3,
            Architecture = Architecture.Mlp,
            TensorBoardDirectory = folder.FullName,
        }).Fit(FashionMnistData.Train(context, 100)))
        {
        }
        var events = File.ReadAllText(folder.GetFiles("events.out.tfevents.*").Single().FullName, System.Text.Encoding.Latin1);
        Assert.AreEqual(3, Regex.Count(events, "loss/training"));
        Assert.AreEqual(3, Regex.Count(events, "accuracy/validation_averaged"));
        folder.Delete(recursive: true);
    }

    [GeneratedRegex("<svg ")]
    private static partial Regex SvgElements();

    [GeneratedRegex("""https?://[^"'\s<)]+""")]
    private static partial Regex Addresses();

    [GeneratedRegex("<script|<link|<img|<iframe|@import|url\\((?!#)| src=| href=", RegexOptions.IgnoreCase)]
    private static partial Regex References();

    [GeneratedRegex("(?<= )id=\"[^\"]*\"")]
    private static partial Regex Ids();

    // Requests of the browser itself, such as for updates, have no origin.
    [GeneratedRegex(""""initiator":"(?!not an origin")[^"]*"""")]
    private static partial Regex Requests();
}
