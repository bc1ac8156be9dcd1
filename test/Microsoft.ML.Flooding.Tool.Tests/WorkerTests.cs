using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Mlflood.Tests;

/// <summary>Workers and a search on a cluster, as processes of this machine.</summary>
[TestClass]
public sealed class WorkerTests
{
    private static readonly string[] Search =
        ["search", "photos", "--epochs", "4", "--seed", "1", "--architecture", "mlp", "--flood-levels", "Create:0:0.5:1.2"];

    private static string _folder = "";

    [ClassInitialize]
    public static void Write(TestContext context)
    {
        _folder = Directory.CreateTempSubdirectory("mlflood-tests-").FullName;
        Photos.Write(Path.Combine(_folder, "photos"), "train", 40);
        Directory.CreateDirectory(Path.Combine(_folder, "shared"));
    }

    [ClassCleanup]
    public static void Delete() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    [DataRow("localhost")]
    [DataRow("redis")]
    public void Two_workers_give_the_table_of_one_process(string kind)
    {
        using var redis = kind == "redis" ? StartRedis() : null;
        var address = redis?.Address ?? $"localhost:{FreePort()}";
        string[] shared = kind == "redis" ? ["--shared-folder", "shared"] : [];
        using var first = StartWorker("first", address, shared);
        // The first silo of localhost is the one with the port of the address.
        if (kind == "localhost")
            first.WaitFor("Worker first is ready.");
        using var second = StartWorker("second", address, shared);
        using var alone = ToolProcess.Start(_folder, Search);
        var expected = alone.Finish().Expect(0);
        first.WaitFor("Worker first is ready.");
        second.WaitFor("Worker second is ready.");

        using var search = ToolProcess.Start(_folder, [.. Search, "--cluster", address, .. shared]);
        var result = search.Finish().Expect(0);
        Assert.AreEqual(expected.Output, result.Output);
        foreach (var text in new[] { "level-0  epoch ", "level-0: Running on ", "level-1.2: Done on ", "4/4" })
            StringAssert.Contains(result.Error, text);
        var lines = second.Lines("Worker second ").Concat(first.Lines("Worker first ")).ToArray();
        foreach (var text in new[] { " trains level-", " has trained level-" })
            Assert.HasCount(3, lines.Where(line => line.Contains(text, StringComparison.Ordinal)), string.Join('\n', lines));
        if (kind == "redis")
            Assert.IsNotEmpty(Directory.GetFiles(Path.Combine(_folder, "shared", "pixels")));
        if (OperatingSystem.IsWindows())
            return;
        foreach (var worker in new[] { second, first })
        {
            worker.Interrupt();
            var ended = worker.Finish().Expect(0);
            StringAssert.Contains(ended.Error, "Leaving the cluster.");
            Assert.IsFalse(ended.Error.Contains("   at ", StringComparison.Ordinal), ended.Error);
        }
    }

    [TestMethod]
    public void The_sample_kills_a_worker_and_ends_with_the_table_of_one_process()
    {
        using (StartRedis())
        {
            // The sample starts its own. This one says whether there is any.
        }
        var output = new DirectoryInfo(AppContext.BaseDirectory);
        var program = Path.Combine(
            ToolProcess.Repository, "docs", "samples", "Cluster", "bin", output.Parent!.Name, output.Name, "Cluster.dll");
        using var sample = ToolProcess.Start("dotnet", _folder, [program]);
        var result = sample.Finish().Expect(0);
        StringAssert.Matches(result.Output, new(@"Killing worker [ABC]\."));
        StringAssert.Contains(result.Output, "The tables are the same, to the last bit.");
    }

    [TestMethod]
    public void A_server_that_does_not_answer_is_an_error()
    {
        const string Address = "redis:127.0.0.1:1,connectTimeout=1000,asyncTimeout=1000";
        using var worker = ToolProcess.Start(_folder, ["worker", "--cluster", Address]);
        using var search = ToolProcess.Start(_folder, ["search", "photos", "--cluster", Address]);
        foreach (var process in new[] { worker, search })
        {
            var error = process.Finish().Expect(2).Error;
            StringAssert.Contains(error, "error: The cluster cannot be reached: ");
            StringAssert.Contains(error, "127.0.0.1:1");
            Assert.AreEqual(1, error.Split('\n').Length, error);
        }
    }

    [TestMethod]
    [DataRow("worker", 1, "'--cluster' is required")]
    [DataRow("worker --cluster nowhere", 1, "--cluster: 'nowhere' is not the address of a cluster. Use localhost, ")]
    [DataRow("worker --cluster localhost:0", 1, "--cluster: 'localhost:0' is not the address of a cluster.")]
    [DataRow("worker --cluster localhost --places 0", 1, "--places is 0. Give a whole number of at least 1.")]
    [DataRow("worker --cluster localhost --threads 0", 1, "--threads is 0. Give a whole number of at least 1.")]
    [DataRow("worker --cluster localhost --cache-folder nothing", 1, "--cache-folder: there is no folder 'nothing'.")]
    [DataRow("search photos --cluster localhost --shared-folder nothing", 1, "--shared-folder: there is no folder 'nothing'.")]
    [DataRow("train photos --cluster nowhere", 1, "--cluster: 'nowhere' is not the address of a cluster.")]
    [DataRow("train photos --shared-folder shared", 2, "--shared-folder is for training on a cluster.")]
    public void Wrong_arguments_are_explained(string line, int exitCode, string message) =>
        StringAssert.Contains(ToolProcess.Run(_folder, line.Split(' ')).Expect(exitCode).Error, message);

    private static ToolProcess StartWorker(string name, string address, string[] more) =>
        ToolProcess.Start(_folder, ["worker", "--cluster", address, "--name", name, "--threads", "1", .. more]);

    private static RedisServer StartRedis()
    {
        try
        {
            return new RedisServer(FreePort());
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Inconclusive("redis-server is not installed.");
            throw;
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private sealed class RedisServer(int port) : IDisposable
    {
        private readonly Process _process = Process.Start(
            new ProcessStartInfo(
                "redis-server",
                ["--port", port.ToString(CultureInfo.InvariantCulture), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            {
                WorkingDirectory = _folder,
                RedirectStandardOutput = true,
            })!;

        public string Address { get; } = $"redis:127.0.0.1:{port}";

        public void Dispose()
        {
            _process.Kill();
            _process.WaitForExit();
            _process.Dispose();
        }
    }
}
