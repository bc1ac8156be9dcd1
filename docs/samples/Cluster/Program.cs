using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Cluster;
using Common;
using Microsoft.ML;
using Microsoft.ML.Flooding;

// Searches the flood level in one process, then on three workers of a cluster, of which it kills one in the middle, and compares the
// tables. It starts a Redis server, through which the processes find each other, and this program again for each worker.
if (args is ["worker", var cluster, var name])
{
    await Worker.RunAsync(cluster, name);
    return 0;
}

// Workers train with one thread, too, which keeps all bits the same.
TorchSharp.torch.set_num_threads(Worker.Threads);
Console.WriteLine("One process...");
var watch = Stopwatch.StartNew();
using var alone = Search(null);
Console.WriteLine($"{watch.Elapsed.TotalSeconds:0} s");

var port = FreePort();
var address = $"redis:127.0.0.1:{port}";
using var redis = Start("redis-server", "--port", $"{port}", "--bind", "127.0.0.1", "--save", "", "--logfile", "/dev/null");
if (redis is null)
{
    Console.Error.WriteLine("redis-server was not found. Install Redis (package redis-server on Debian and Ubuntu).");
    return 1;
}
var workers = new[] { "A", "B", "C" }.ToDictionary(
    worker => worker, worker => Start("dotnet", Path.Combine(AppContext.BaseDirectory, "Cluster.dll"), "worker", address, worker)!);
try
{
    Console.WriteLine("Three workers...");
    watch.Restart();
    await using var orleans = await OrleansCluster.ConnectAsync(address);
    orleans.Progress = new Progress(KillOne);
    using var together = Search(orleans);
    Console.WriteLine($"{watch.Elapsed.TotalSeconds:0} s");
    var isSame = Table.Write(alone, together);
    Console.WriteLine(isSame ? "The tables are the same, to the last bit." : "The tables differ.");
    return isSame ? 0 : 1;
}
finally
{
    foreach (var process in workers.Values.Append(redis))
    {
        process.Kill();
        process.WaitForExit();
        process.Dispose();
    }
}

static FloodedImageClassificationTransformer Search(OrleansCluster? cluster)
{
    var context = new MLContext(seed: 1);
    return context.Transforms.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
    {
        Cluster = cluster,
        FloodLevels = FloodLevels.Create(0, 0.02f, 0.05f, 0.1f, 0.2f),
        Architecture = Architecture.Mlp.WithHiddenSizes(500, 500),
        Epochs = 15,
        Seed = 1,
    }).Fit(IdxFolder.FashionMnist.LoadTrainingSet(context));
}

// Kills the first worker that has trained a run for three epochs.
void KillOne(ClusterRun run)
{
    if (workers.Values.Any(process => process.HasExited)
        || run is not { State: ClusterRunState.Running, Worker: { } worker, Last.Epoch: >= 3 })
        return;
    Console.WriteLine($"Killing worker {worker}.");
    // SIGKILL: the worker cannot say goodbye.
    workers[worker].Kill();
    workers[worker].WaitForExit();
}

static Process? Start(string program, params string[] arguments)
{
    var start = new ProcessStartInfo(program, arguments);
    start.Environment["OMP_WAIT_POLICY"] = "PASSIVE";
    try
    {
        return Process.Start(start);
    }
    catch (System.ComponentModel.Win32Exception)
    {
        return null;
    }
}

static int FreePort()
{
    using var listener = new TcpListener(IPAddress.Loopback, 0);
    listener.Start();
    return ((IPEndPoint)listener.LocalEndpoint).Port;
}
