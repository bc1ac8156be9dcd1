using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML.Flooding.Tests.DataParallelism;

/// <summary>Ranks that mpirun starts as processes of this machine.</summary>
[TestClass]
public sealed class MpiTests
{
    private const string Mpirun = "mpirun";
    private string _folder = "";

    [TestInitialize]
    public void CreateFolder() => _folder = Directory.CreateTempSubdirectory("flooding-mpi-").FullName;

    [TestCleanup]
    public void DeleteFolder() => Directory.Delete(_folder, recursive: true);

    /// <summary>The last mini-batch of an epoch has 54 images, which four ranks share unequally.</summary>
    [TestMethod]
    [Timeout(300_000)]
    public void Processes_train_as_one_process()
    {
        var alone = Train(ranks: null, "alone").Single();
        Assert.HasCount(4, Values(alone, "losses"));
        foreach (var losses in Values(alone, "losses").Values)
            Assert.HasCount(60, losses);

        var two = Train(2);
        foreach (var ranks in new[] { two, Train(4), Train(ranks: null, "epochs=2") })
        {
            foreach (var name in new[] { "losses", "validation" })
            {
                var actual = Values(ranks[0], name);
                foreach (var (setting, expected) in Values(alone, name))
                    foreach (var (a, b) in expected.Zip(actual[setting]))
                        Assert.AreEqual(a, b, 1e-5, $"{ranks.Length} ranks: {name} {setting}");
            }
            foreach (var rank in ranks)
            {
                CollectionAssert.AreEqual(Weights(ranks[0]), Weights(rank));
                CollectionAssert.Contains(rank, "null reference caught");
                CollectionAssert.Contains(rank, "division by zero caught");
            }
        }
        var again = Values(Train(2, "epochs=2")[0], "losses");
        foreach (var (setting, losses) in Values(two[0], "losses"))
            CollectionAssert.AreEqual(losses[..20], again[setting], $"{setting}: a run repeats bit for bit");
    }

    [TestMethod]
    [Timeout(300_000)]
    public void A_killed_rank_ends_the_others_and_the_run_continues_with_the_same_bits()
    {
        var undisturbed = Train(2, $"checkpoints={Path.Combine(_folder, "a")}", "epochs=8");

        string[] settings = [$"checkpoints={Path.Combine(_folder, "b")}", "epochs=8"];
        // Within the fourth epoch.
        using (var process = Start(2, Path.Combine(_folder, "killed"), [.. settings, "halt=40"]))
        {
            var errors = process.StandardError.ReadToEndAsync();
            var output = process.StandardOutput.ReadToEndAsync();
            while (!File.Exists(Path.Combine(_folder, "killed", "1.halted")))
            {
                Assert.IsFalse(process.HasExited, "The training ended before rank 1 halted.");
                Thread.Sleep(10);
            }
            using (var second = Process.GetProcessById(int.Parse(
                File.ReadAllText(Path.Combine(_folder, "killed", "1.process")), CultureInfo.InvariantCulture)))
            {
                Assert.AreEqual("dotnet", second.ProcessName);
                second.Kill();
            }
            var watch = Stopwatch.StartNew();
            process.WaitForExit();
            Console.WriteLine($"mpirun ended after {watch.Elapsed.TotalSeconds:0.0} s:\n{errors.Result}");
            Assert.IsLessThan(60, watch.Elapsed.TotalSeconds);
            Assert.AreNotEqual(0, process.ExitCode);
            StringAssert.Contains(errors.Result, "rank 1");
            Assert.IsFalse(File.Exists(Path.Combine(_folder, "killed", "0")), "rank 0 did not finish");
            Assert.AreEqual("", output.Result);
        }
        var continued = Train(2, settings);
        Assert.IsLessThan(Values(undisturbed[0], "losses").Single().Value.Length, Values(continued[0], "losses").Single().Value.Length);
        CollectionAssert.AreEqual(Weights(undisturbed[0]), Weights(continued[0]));
    }

    [TestMethod]
    [Timeout(300_000)]
    public void A_rank_with_another_option_is_told_so()
    {
        using var process = Start(3, _folder, "option");
        var errors = process.StandardError.ReadToEndAsync();
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.AreNotEqual(0, process.ExitCode);
        StringAssert.Contains(
            errors.Result, "Rank 2 differs from rank 0: LearningRate is 0.5 instead of not set. Give all ranks the same data and options.");
    }

    [TestMethod]
    public void Without_a_library_the_error_says_what_to_install()
    {
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Mpi.Load(["libmpi-of-nobody.so"]));
        StringAssert.Contains(error.Message, "Install Open MPI (package openmpi-bin on Debian and Ubuntu)");
    }

    /// <summary>The processes of an mpirun of another MPI would each train alone and overwrite the files of the others.</summary>
    [TestMethod]
    [Timeout(300_000)]
    public void The_library_of_another_mpirun_is_refused()
    {
        RequireMpirun();
        var start = Program(_folder);
        start.Environment["OMPI_COMM_WORLD_SIZE"] = "2";
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.AreNotEqual(0, process.ExitCode);
        StringAssert.Contains(errors.Result, "2 processes were started, but 'libmpi.so.40' knows one");
    }

    /// <summary>The values of a line by its setting.</summary>
    private static Dictionary<string, double[]> Values(string[] lines, string name) => lines.Select(line => line.Split(' '))
        .Where(words => words[0] == name)
        .ToDictionary(
            words => $"{words[1]} {words[2]}",
            words => words[3..].Select(word => double.Parse(word, CultureInfo.InvariantCulture)).ToArray());

    private static string[] Weights(string[] lines) =>
        [.. lines.Where(line => line.StartsWith("weights", StringComparison.Ordinal))];

    private static void RequireMpirun()
    {
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator);
        if (!folders.Any(folder => File.Exists(Path.Combine(folder, Mpirun))))
            Assert.Inconclusive("mpirun is not on the PATH. On Debian and Ubuntu, install the package openmpi-bin.");
    }

    /// <summary>Trains to the end. Returns what each rank writes.</summary>
    /// <param name="ranks">The number of ranks; null: without mpirun.</param>
    /// <param name="settings">The settings of the program.</param>
    private string[][] Train(int? ranks, params string[] settings)
    {
        var output = Path.Combine(_folder, $"{Guid.NewGuid()}");
        using var process = Start(ranks, output, settings);
        var errors = process.StandardError.ReadToEndAsync();
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.AreEqual(0, process.ExitCode, errors.Result);
        return [.. Enumerable.Range(0, ranks ?? 1).Select(rank => File.ReadAllLines(Path.Combine(output, $"{rank}")))];
    }

    private static Process Start(int? ranks, string output, params string[] settings)
    {
        RequireMpirun();
        Directory.CreateDirectory(output);
        var program = Program(output, settings);
        if (ranks is null)
            return Process.Start(program)!;
        program.ArgumentList.Insert(0, program.FileName);
        foreach (var argument in new[] { $"{ranks}", "-n", "--oversubscribe" })
            program.ArgumentList.Insert(0, argument);
        program.FileName = Mpirun;
        return Process.Start(program)!;
    }

    private static ProcessStartInfo Program(string output, params string[] settings)
    {
        var start = new ProcessStartInfo(
            "dotnet",
            [
                Path.Combine(AppContext.BaseDirectory, "Microsoft.ML.Flooding.Tests.Trainer.dll"), "ranks",
                Path.Combine(Fixtures.FashionMnist, "train-images-idx3-ubyte.gz"),
                Path.Combine(Fixtures.FashionMnist, "train-labels-idx1-ubyte.gz"), output, .. settings,
            ])
        { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["OMP_NUM_THREADS"] = "1";
        // Open MPI refuses to run as root, which containers do.
        start.Environment["OMPI_ALLOW_RUN_AS_ROOT"] = start.Environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1";
        return start;
    }
}
