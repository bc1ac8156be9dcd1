using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.ML.Data;
using TorchSharp;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>
/// The tables of docs/scaling.md about a search: in one process, and on workers that are processes of this machine. Each training has one
/// thread.
/// </summary>
internal static class ClusterTable
{
    /// <summary>A worker: the verb and the address of the cluster.</summary>
    public const string Verb = "cluster-worker";

    private const int Settings = 100;
    private const double Gigabyte = 1e9;

    /// <summary>None is touched before the others, so that nothing is shared.</summary>
    private static readonly float[] Levels = [0, 0.01f, 0.02f, 0.03f, 0.04f, 0.05f, 0.06f, 0.07f];

    /// <summary>Runs a worker until the process is killed.</summary>
    public static async Task Work(string address)
    {
        using var host = new HostBuilder().ConfigureLogging(logging => logging.SetMinimumLevel(LogLevel.Warning))
            .UseOrleans(silo =>
            {
                ClusterAddress.Parse(address).Join(silo);
                silo.AddFlooding(options => options.Threads = 1);
            })
            .Build();
        await host.StartAsync();
        Console.WriteLine("ready");
        await host.WaitForShutdownAsync();
    }

    /// <summary>Writes the tables as Markdown.</summary>
    public static void Print(TextWriter output)
    {
        torch.set_num_threads(1);
        var digits = Draw<Digit>(3_000, 28 * 28);
        Search(digits, null);
        var alone = Search(digits, null);
        output.WriteLine("| Where | Seconds | Times faster |");
        output.WriteLine("|---|---:|---:|");
        output.WriteLine(Text($"| one process | {alone:0.0} | 1.00 |"));
        var overhead = 0.0;
        foreach (var count in new[] { 1, 2 })
        {
            using var cluster = new Cluster(count);
            Search(digits, cluster.Address);
            var seconds = Search(digits, cluster.Address);
            if (count == 1)
                overhead = Math.Max(0, (seconds - alone) / Levels.Length);
            output.WriteLine(Text($"| {count} {(count == 1 ? "worker" : "workers")} | {seconds:0.0} | {alone / seconds:0.00} |"));
        }
        output.WriteLine();

        var photos = Draw<Photo>(8_000, 128 * 128 * 3);
        var megabytes = photos.Length * 128 * 128 * 3 / 1e6;
        var here = Train(photos, null);
        using var one = new Cluster(1);
        var (first, second) = (Train(photos, one.Address), Train(photos, one.Address));
        output.WriteLine(Text($"Overhead of a run: {overhead:0.00} s. ")
            + Text($"{megabytes:0} MB of images: {first - second:0.0} s to a worker that does not have them; ")
            + Text($"{second - here:0.0} s to write them to a file and read them again."));
        output.WriteLine();
        PrintModel(output, overhead);
    }

    private static void PrintModel(TextWriter output, double overhead)
    {
        output.WriteLine("| Workers | Runs of 1 min, 1 Gbit/s | of 1 min, 10 Gbit/s | of 30 min, 1 Gbit/s | of 30 min, 10 Gbit/s |");
        output.WriteLine("|---:|---:|---:|---:|---:|");
        foreach (var workers in new[] { 1, 2, 4, 8, 16, 32, 64, 100 })
        {
            // The client sends the images to one worker after the other, and the last worker begins last.
            double Seconds(double run, double gigabits) =>
                (workers * Gigabyte / (gigabits * 1e9 / 8)) + (Math.Ceiling((double)Settings / workers) * (run + overhead));
            string Cell(double run, double gigabits) =>
                Text($"{Seconds(run, gigabits) / 3600:0.00} h ({Settings * run / Seconds(run, gigabits):0.0})");
            output.WriteLine($"| {workers} | {Cell(60, 1)} | {Cell(60, 10)} | {Cell(1800, 1)} | {Cell(1800, 10)} |");
        }
    }

    private static double Search(Digit[] images, string? address) => Fit(images, address, new()
    {
        Architecture = Architecture.Mlp.WithHiddenSizes(1000, 1000),
        BatchSize = 128,
        Epochs = 5,
        EarlyStopping = null,
        Objective = FloodingObjective.IndividualFlood,
        FloodLevels = FloodLevels.Create(Levels),
        ValidationSetFraction = 0.1,
        Seed = 1,
    });

    private static double Train(Photo[] images, string? address) => Fit(images, address, new()
    {
        Architecture = Architecture.Mlp.WithHiddenSizes(),
        BatchSize = 128,
        Epochs = 1,
        ValidationSetFraction = null,
        Seed = 1,
    });

    private static double Fit<T>(T[] images, string? address, FloodedImageClassificationTrainer.Options options) where T : class
    {
        var context = new MLContext();
        var view = context.Data.LoadFromEnumerable(images);
        var keyed = context.Transforms.Conversion.MapValueToKey("Label").Fit(view).Transform(view);
        var cluster = address is null ? null : OrleansCluster.ConnectAsync(address).GetAwaiter().GetResult();
        options.Cluster = cluster;
        var watch = Stopwatch.StartNew();
        context.Transforms.FloodedImageClassification(options).Fit(keyed).Dispose();
        var seconds = watch.Elapsed.TotalSeconds;
        cluster?.DisposeAsync().AsTask().Wait();
        return seconds;
    }

    private static T[] Draw<T>(int count, int length) where T : Labeled, new()
    {
        var random = new Random(1);
        return [.. Enumerable.Range(0, count).Select(i =>
        {
            var image = new T { Label = (uint)(i % 10), Features = new byte[length] };
            random.NextBytes(image.Features);
            return image;
        })];
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private abstract class Labeled
    {
        public uint Label { get; set; }

        public virtual byte[] Features { get; set; } = [];
    }

    private sealed class Digit : Labeled
    {
        [VectorType(28, 28, 1)]
        public override byte[] Features { get; set; } = [];
    }

    private sealed class Photo : Labeled
    {
        [VectorType(128, 128, 3)]
        public override byte[] Features { get; set; } = [];
    }

    /// <summary>Workers of this machine.</summary>
    private sealed class Cluster : IDisposable
    {
        private readonly List<Process> _workers = [];

        public Cluster(int count)
        {
            using var listener = new TcpListener(IPAddress.Loopback, 0);
            listener.Start();
            var port = ((IPEndPoint)listener.LocalEndpoint).Port;
            listener.Stop();
            Address = $"localhost:{port}";
            for (var i = 0; i < count; i++)
            {
                var worker = OwnProcess.Start([Verb, Address], ("OMP_NUM_THREADS", "1"));
                _workers.Add(worker);
                if (worker.StandardOutput.ReadLine() != "ready")
                    throw new InvalidOperationException("A worker did not start.");
            }
        }

        public string Address { get; }

        public void Dispose()
        {
            foreach (var worker in _workers)
            {
                worker.Kill();
                worker.WaitForExit();
                worker.Dispose();
            }
        }
    }
}
