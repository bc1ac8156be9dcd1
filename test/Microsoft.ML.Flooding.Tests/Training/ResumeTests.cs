using System.Diagnostics;
using System.IO.Compression;
using System.Security.Cryptography;

namespace Microsoft.ML.Flooding.Tests.Training;

/// <summary>A training process that is killed repeatedly ends with the same weights as an undisturbed one.</summary>
[TestClass]
public sealed class ResumeTests
{
    private const int Epochs = 60;
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
            using (var process = Start(Path.Combine(folder.FullName, "a"), undisturbed))
            {
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
                using var process = Start(checkpoints, killed);
                // A few whole epochs, then part of one. They are few enough to leave work for every kill.
                string? line = null;
                for (var i = random.Next(1, Epochs / Kills / 2); i >= 0; i--)
                    line = process.StandardOutput.ReadLine();
                Assert.IsNotNull(line, $"Nothing was left to kill at kill {kill + 1}.");
                Thread.Sleep(epoch * random.NextDouble());
                process.Kill();
                process.WaitForExit();
                Console.WriteLine($"kill {kill + 1} after {line} and {process.StandardOutput.ReadToEnd().Split('\n').Length - 1} more");
            }
            using (var process = Start(checkpoints, killed))
            {
                process.WaitForExit();
                Assert.AreEqual(0, process.ExitCode);
            }
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
        const int FoldEpochs = 12;
        var folder = Directory.CreateTempSubdirectory("flooding-resume-folds-");
        try
        {
            var undisturbed = Path.Combine(folder.FullName, "undisturbed.zip");
            Finish(Path.Combine(folder.FullName, "a"), undisturbed);

            var killed = Path.Combine(folder.FullName, "killed.zip");
            var checkpoints = Path.Combine(folder.FullName, "b");
            foreach (var (fold, epoch) in new[] { (1, 3), (2, 5) })
            {
                using var process = Start(checkpoints, killed, FoldEpochs, "cross-fitted");
                var reached = Path.Combine(checkpoints, $"fold-{fold}", FormattableString.Invariant($"epoch-{epoch:000000}.safetensors"));
                while (!File.Exists(reached))
                {
                    Assert.IsFalse(process.HasExited, $"Fold {fold} ended before epoch {epoch} was seen.");
                    Thread.Sleep(1);
                }
                process.Kill();
                process.WaitForExit();
                Assert.IsFalse(File.Exists(Path.Combine(checkpoints, "epoch-000001.safetensors")), "the run has not begun");
            }
            Finish(checkpoints, killed);
            Assert.AreEqual(WeightsOf(undisturbed), WeightsOf(killed));
        }
        finally
        {
            folder.Delete(recursive: true);
        }

        static void Finish(string checkpoints, string output)
        {
            using var process = Start(checkpoints, output, FoldEpochs, "cross-fitted");
            process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            Assert.AreEqual(0, process.ExitCode);
        }
    }

    private static Process Start(string checkpoints, string output, int epochs = Epochs, params IEnumerable<string> more)
    {
        var trainer = Path.Combine(AppContext.BaseDirectory, "Microsoft.ML.Flooding.Tests.Trainer.dll");
        return Process.Start(new ProcessStartInfo("dotnet",
        [
            trainer,
            Path.Combine(Fixtures.FashionMnist, "train-images-idx3-ubyte.gz"),
            Path.Combine(Fixtures.FashionMnist, "train-labels-idx1-ubyte.gz"),
            checkpoints, output, epochs.ToString(null, null), .. more,
        ])
        { RedirectStandardOutput = true })!;
    }

    private static string WeightsOf(string path)
    {
        using var zip = ZipFile.OpenRead(path);
        using var weights = zip.Entries.Single(e => e.Name == "Weights.safetensors").Open();
        return Convert.ToHexString(SHA256.HashData(weights));
    }
}
