using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.ML;
using Microsoft.ML.Flooding;

// worker ADDRESS NAME [shared=FOLDER] [version=VERSION] [places=N]
// client ADDRESS IMAGES LABELS OUTPUT [checkpoints=FOLDER] [shared=FOLDER] [epochs=N] [factory]
var (role, address) = (args[0], args[1]);
var settings = args.Skip(2).Where(a => a.Contains('=', StringComparison.Ordinal)).Select(a => a.Split('=', 2))
    .ToDictionary(a => a[0], a => a[1]);
if (role == "worker")
{
    using var host = new HostBuilder()
        .ConfigureLogging(logging => logging.AddConsole().SetMinimumLevel(LogLevel.Warning)
            .AddFilter("Microsoft.ML.Flooding", LogLevel.Debug))
        .UseOrleans(silo =>
        {
            ClusterAddress.Parse(address).Join(silo);
            silo.AddFlooding(options =>
            {
                (options.Name, options.Threads) = (args[2], 1);
                options.SharedFolder = settings.GetValueOrDefault("shared");
                options.Places = int.Parse(settings.GetValueOrDefault("places", "1"), null);
                if (settings.TryGetValue("version", out var version))
                    options.Version = version;
            });
        })
        .Build();
    await host.StartAsync();
    Console.WriteLine("ready");
    await host.WaitForShutdownAsync();
    return;
}

var cluster = address == "none" ? null : await OrleansCluster.ConnectAsync(address);
var context = new MLContext();
context.Log += (_, e) =>
{
    if (e.Kind >= Microsoft.ML.Runtime.ChannelMessageKind.Warning)
        Console.WriteLine(e.Message);
};
if (cluster is not null)
{
    cluster.SharedFolder = settings.GetValueOrDefault("shared");
    cluster.Progress = new Lines();
}
else
    TorchSharp.torch.set_num_threads(1);
var data = context.Data.TakeRows(context.Data.LoadFromIdx(args[2], args[3]), 1000);
using var model = context.Transforms.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
{
    Architecture = args.Contains("factory")
        ? Architecture.FromFactory("of-the-client", (classes, _) =>
            TorchSharp.torch.nn.Sequential(TorchSharp.torch.nn.Flatten(), TorchSharp.torch.nn.Linear(784, classes)))
        : Architecture.Mlp.WithHiddenSizes(200),
    FloodLevels = FloodLevels.Create(0, 0.2f, 0.4f, 0.6f, 0.8f, 1),
    Epochs = int.Parse(settings.GetValueOrDefault("epochs", "30"), null),
    BatchSize = 16,
    EarlyStopping = null,
    ValidationSetFraction = 0.2,
    Seed = 3,
    Cluster = cluster,
    CheckpointDirectory = settings.GetValueOrDefault("checkpoints"),
}).Fit(data);
context.Model.Save(model, data.Schema, args[4]);
if (cluster is not null)
    await cluster.DisposeAsync();
Console.WriteLine("done");

/// <summary>Writes what has changed.</summary>
internal sealed class Lines : IProgress<IReadOnlyList<ClusterRun>>
{
    private readonly HashSet<string> _written = [];

    public void Report(IReadOnlyList<ClusterRun> value)
    {
        foreach (var line in value.Select(run => run.ToString()).Where(_written.Add))
            Console.WriteLine(line);
    }
}
