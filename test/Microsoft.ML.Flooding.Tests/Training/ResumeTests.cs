using System.Diagnostics;
using System.Globalization;
using System.IO.Compression;
using System.Security.Cryptography;

namespace Microsoft.ML.Flooding.Tests.Training;

/// <summary>A training process that is killed repeatedly ends with the same weights as an undisturbed one.</summary>
[TestClass]
public sealed class ResumeTests
{
    private const int Epochs = 40;
    private const int Kills = 10;

    [TestMethod]
    [Timeout(600_000)]
    public void A_run_killed_at_ten_random_instants_ends_with_the_same_bits()
    {
        var seed = Environment.TickCount;
        Console.WriteLine($"seed {seed}");
        var random = new Random(seed);
        var folder = Directory.CreateTempSubdirectory("flooding-resume-");
        try
        {
            var undisturbed = Path.Combine(folder.FullName, "undisturbed.zip");
            TimeSpan epoch;
            using (var process = Start(Path.Combine(folder.FullName, "a"), undisturbed, Epochs))
            {
                process.StandardInput.Close();
                process.StandardOutput.ReadLine();
                var watch = Stopwatch.StartNew();
                process.StandardOutput.ReadToEnd();
                process.WaitForExit();
                Assert.AreEqual(0, process.ExitCode);
                epoch = watch.Elapsed / Epochs;
            }

            var killed = Path.Combine(folder.FullName, "killed.zip");
            var checkpoints = Path.Combine(folder.FullName, "b");
            for (var kill = 0; kill < Kills; kill++)
            {
                using var process = Start(checkpoints, killed, Epochs);
                // A few whole epochs, then part of one. The process waits for a line before the next epoch: some are left for every kill.
                string? line = null;
                for (var i = random.Next(1, Epochs / Kills - 1); i >= 0; i--)
                {
                    line = process.StandardOutput.ReadLine();
                    process.StandardInput.WriteLine();
                }
                Assert.IsNotNull(line, $"Nothing was left to kill at kill {kill + 1}.");
                Thread.Sleep(epoch * random.NextDouble());
                process.Kill();
                process.WaitForExit();
                Console.WriteLine($"kill {kill + 1} after {line} and {process.StandardOutput.ReadToEnd().Split('\n').Length - 1} more");
            }
            Finish(Start(checkpoints, killed, Epochs));
            Assert.AreEqual(WeightsOf(undisturbed), WeightsOf(killed));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [TestMethod]
    [Timeout(300_000)]
    public void A_run_killed_within_its_folds_ends_with_the_same_bits()
    {
        const int FoldEpochs = 6;
        var folder = Directory.CreateTempSubdirectory("flooding-resume-folds-");
        try
        {
            var undisturbed = Path.Combine(folder.FullName, "undisturbed.zip");
            Finish(Start(Path.Combine(folder.FullName, "a"), undisturbed, FoldEpochs, "0"));

            var killed = Path.Combine(folder.FullName, "killed.zip");
            var checkpoints = Path.Combine(folder.FullName, "b");
            foreach (var (fold, call) in new[] { (1, 20), (2, 60) })
            {
                using var process = Start(checkpoints, killed, FoldEpochs, $"{call}");
                Assert.AreEqual("halted", process.StandardOutput.ReadLine());
                process.Kill();
                process.WaitForExit();
                Assert.IsInRange(1, FoldEpochs - 1, LastEpoch($"fold-{fold}"), "the fold has begun and has not ended");
                Assert.AreEqual(0, LastEpoch(""), "the run has not begun");
            }
            Finish(Start(checkpoints, killed, FoldEpochs, "0"));
            Assert.AreEqual(WeightsOf(undisturbed), WeightsOf(killed));

            int LastEpoch(string of) => Directory.GetFiles(Path.Combine(checkpoints, of), "epoch-*.safetensors")
                .Max(path => int.Parse(Path.GetFileNameWithoutExtension(path)["epoch-".Length..], CultureInfo.InvariantCulture));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static void Finish(Process started)
    {
        using var process = started;
        process.StandardInput.Close();
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.AreEqual(0, process.ExitCode);
    }

    private static Process Start(string checkpoints, string output, int epochs, params IEnumerable<string> more)
    {
        var trainer = Path.Combine(AppContext.BaseDirectory, "Microsoft.ML.Flooding.Tests.Trainer.dll");
        return Process.Start(new ProcessStartInfo("dotnet",
        [
            trainer,
            Path.Combine(Fixtures.FashionMnist, "train-images-idx3-ubyte.gz"),
            Path.Combine(Fixtures.FashionMnist, "train-labels-idx1-ubyte.gz"),
            checkpoints, output, epochs.ToString(CultureInfo.InvariantCulture), .. more,
        ])
        { RedirectStandardInput = true, RedirectStandardOutput = true })!;
    }

    private static string WeightsOf(string path)
    {
        using var zip = ZipFile.OpenRead(path);
        using var weights = zip.Entries.Single(e => e.Name == "Weights.safetensors").Open();
        return Convert.ToHexString(SHA256.HashData(weights));
    }
}
