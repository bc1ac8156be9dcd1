using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Flooding.Orleans.Tests;

/// <summary>Workers and trainings are processes of their own, which find each other by a Redis server.</summary>
[TestClass]
public sealed partial class ProcessTests
{
    private static string _folder = "";
    private static Process? _redis;
    private static int _port;
    private static int _databases;
    private readonly List<Node> _nodes = [];
    private string _address = "";

    [ClassInitialize]
    public static void StartRedis(TestContext context)
    {
        _folder = Directory.CreateTempSubdirectory("flooding-cluster-").FullName;
        using (var listener = new TcpListener(IPAddress.Loopback, 0))
        {
            listener.Start();
            _port = ((IPEndPoint)listener.LocalEndpoint).Port;
        }
        try
        {
            _redis = Process.Start(new ProcessStartInfo(
                "redis-server", ["--port", $"{_port}", "--bind", "127.0.0.1", "--save", "", "--dir", _folder])
            {
                RedirectStandardOutput = true,
            });
            _redis!.BeginOutputReadLine();
        }
        catch (Win32Exception)
        {
            return;
        }
        using var alone = Node.Client("none", Path.Combine(_folder, "alone.zip"));
        Assert.AreEqual(0, alone.WaitForEnd(), string.Join('\n', alone.Lines));
    }

    [ClassCleanup]
    public static void StopRedis()
    {
        _redis?.Kill();
        _redis?.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>Each test has a cluster of its own.</summary>
    [TestInitialize]
    public void RequireRedis()
    {
        if (_redis is null)
            Assert.Inconclusive("redis-server is not installed.");
        _address = $"redis:127.0.0.1:{_port},defaultDatabase={_databases++}";
    }

    [TestCleanup]
    public void EndProcesses() => _nodes.ForEach(node => node.Dispose());

    [TestMethod]
    [Timeout(600_000)]
    public void Workers_that_are_killed_lose_nothing_and_workers_join_late()
    {
        var seed = Environment.TickCount;
        Console.WriteLine($"seed {seed}");
        var random = new Random(seed);
        var workers = new Dictionary<string, Node>();
        for (var number = 1; number <= 3; number++)
            workers[$"w{number}"] = Worker($"w{number}");
        var client = Client("killed.zip");
        client.WaitFor("1 of 30 epochs");
        for (var kill = 0; kill < 5 && BusyWorker() is { } busy; kill++)
        {
            Thread.Sleep(random.Next(300));
            workers[busy].Kill();
            workers.Remove(busy);
            workers[$"w{4 + kill}"] = Worker($"w{4 + kill}");
        }
        Assert.AreEqual(0, client.WaitForEnd(), string.Join('\n', client.Lines));
        AssertSameAsAlone("killed.zip");

        // A run that another worker takes over goes on from a checkpoint.
        var begins = Begins();
        Assert.IsTrue(begins.Any(begin => begin.Epoch > 0), "No kill hit a run.");
        foreach (var begin in begins)
        {
            var reported = client.TimedLines.Where(line => line.Time < begin.Time).Select(line => Epoch().Match(line.Text))
                .Where(match => match.Success && match.Groups["run"].Value == begin.Run)
                .Select(match => int.Parse(match.Groups["epoch"].ValueSpan, CultureInfo.InvariantCulture)).DefaultIfEmpty().Max();
            Console.WriteLine($"{begin.Run} from epoch {begin.Epoch} after {reported} epochs");
            Assert.IsGreaterThanOrEqualTo(reported - 5, begin.Epoch, begin.Run);
        }

        // Waits for a worker that is in the first half of a run; null: the training ended.
        string? BusyWorker()
        {
            while (!client.HasExited)
            {
                var busy = client.Lines.Select(line => Epoch().Match(line)).Where(match => match.Success)
                    .GroupBy(match => match.Groups["run"].Value, (_, matches) => matches.Last())
                    .Where(match => match.Value.Contains(": Running on ", StringComparison.Ordinal)
                        && int.Parse(match.Groups["epoch"].ValueSpan, CultureInfo.InvariantCulture) < 15
                        && workers.ContainsKey(match.Groups["worker"].Value))
                    .Select(match => match.Groups["worker"].Value).ToArray();
                if (busy.Length > 0)
                    return busy[random.Next(busy.Length)];
                Thread.Sleep(10);
            }
            return null;
        }
    }

    [TestMethod]
    [Timeout(600_000)]
    public void A_training_that_was_killed_finds_its_runs_again()
    {
        Worker("w1");
        Worker("w2");
        var checkpoints = $"checkpoints={Path.Combine(_folder, "checkpoints")}";
        var killed = Client("resumed.zip", checkpoints);
        killed.WaitFor(": Done");
        killed.Kill();
        string[] done = [.. killed.Lines.Where(line => line.Contains(": Done", StringComparison.Ordinal)).Select(l => l.Split(':')[0])];
        var begun = Begins().Length;
        Thread.Sleep(2000);
        var client = Client("resumed.zip", checkpoints);
        Assert.AreEqual(0, client.WaitForEnd(), string.Join('\n', client.Lines));
        AssertSameAsAlone("resumed.zip");
        foreach (var again in Begins().Skip(begun))
            CollectionAssert.DoesNotContain(done, again.Run);
    }

    [TestMethod]
    [Timeout(600_000)]
    public void Workers_with_and_without_the_shared_folder_train_together_and_another_version_is_refused()
    {
        var shared = Directory.CreateDirectory(Path.Combine(_folder, "shared")).FullName;
        var with = Worker("with", $"shared={shared}");
        var without = Worker("without");
        var other = Worker("other", "version=0.0.1-other");
        foreach (var worker in new[] { with, without, other })
            worker.WaitFor("ready");
        var client = Client("shared.zip", $"shared={shared}");
        Assert.AreEqual(0, client.WaitForEnd(), string.Join('\n', client.Lines));
        AssertSameAsAlone("shared.zip");
        foreach (var worker in new[] { with, without })
            Assert.IsTrue(worker.Lines.Any(line => Begin().IsMatch(line)), string.Join('\n', worker.Lines));
        Assert.IsFalse(other.Lines.Any(line => Begin().IsMatch(line)));
        Assert.IsTrue(
            client.Lines.Any(line => line.Contains("Worker 'other' (version 0.0.1-other) is not used", StringComparison.Ordinal)),
            string.Join('\n', client.Lines));
        Assert.HasCount(1, Directory.GetFiles(Path.Combine(shared, "pixels")));
        Assert.HasCount(1, Directory.GetFileSystemEntries(shared));
    }

    [TestMethod]
    [Timeout(600_000)]
    public void A_run_that_fails_three_times_is_an_error_with_the_reason_of_the_worker()
    {
        Worker("w1");
        var client = Client("failed.zip", "factory");
        Assert.AreNotEqual(0, client.WaitForEnd());
        var error = client.Lines.First(line => line.Contains("Unhandled exception", StringComparison.Ordinal));
        foreach (var text in new[] { "failed 3 times to train 'level-", "Worker 'w1': ", "of-the-client", "CheckpointDirectory" })
            StringAssert.Contains(error, text);
    }

    private Node Worker(string name, params string[] settings) => Add(Node.Worker(_address, name, settings));

    private Node Client(string output, params string[] settings) => Add(Node.Client(_address, Path.Combine(_folder, output), settings));

    private Node Add(Node node)
    {
        _nodes.Add(node);
        return node;
    }

    /// <summary>The runs that workers began, and the epochs that they began from, in the order of time.</summary>
    private (long Time, string Run, int Epoch)[] Begins() =>
    [
        .. _nodes.SelectMany(node => node.TimedLines).OrderBy(line => line.Time)
            .Select(line => (line.Time, Match: Begin().Match(line.Text))).Where(line => line.Match.Success)
            .Select(line => (
                line.Time, line.Match.Groups["run"].Value,
                int.Parse(line.Match.Groups["epoch"].ValueSpan, CultureInfo.InvariantCulture))),
    ];

    private static void AssertSameAsAlone(string file)
    {
        using var alone = Load("alone.zip");
        using var together = Load(file);
        Images.AssertSame(alone, together);
    }

    private static FloodedImageClassificationTransformer Load(string file) =>
        (FloodedImageClassificationTransformer)new MLContext().Model.Load(Path.Combine(_folder, file), out _);

    [GeneratedRegex(@"Worker \S+ trains (?<run>\S+) from epoch (?<epoch>\d+)\.")]
    private static partial Regex Begin();

    [GeneratedRegex(@"^(?<run>level-\S+): \w+ on (?<worker>\S+), (?<epoch>\d+) of \d+ epochs$")]
    private static partial Regex Epoch();
}
