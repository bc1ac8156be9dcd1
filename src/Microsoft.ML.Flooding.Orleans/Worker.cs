using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML.Flooding.Orleans;

/// <summary>Trains the runs that the dispatcher gives to this silo.</summary>
internal sealed partial class Worker : BackgroundService
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(300);

    private readonly IGrainFactory _grains;
    private readonly FloodingWorkerOptions _options;
    private readonly ILogger<Worker> _logger;
    private readonly Guid _id = Guid.NewGuid();
    private readonly List<WorkerTraining> _trainings = [];

    public Worker(IGrainFactory grains, IOptions<FloodingWorkerOptions> options, ILogger<Worker> logger)
    {
        (_grains, _options, _logger) = (grains, options.Value, logger);
        _options.Validate();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // The silo starts before it waits for this method.
        await Task.Yield();
        var places = _options.Places ?? Math.Max(1, DeviceSelection.CountGpus());
        var cache = Path.Combine(_options.CacheFolder ?? Path.GetTempPath(), $"flooding-worker-{_id:N}");
        using var files = new WorkerFiles(Directory.CreateDirectory(cache).FullName, _options.SharedFolder);
        try
        {
            while (!stoppingToken.IsCancellationRequested)
            {
                await Sync(places, files).ConfigureAwait(false);
                await Task.Delay(Pause, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
        finally
        {
            foreach (var training in _trainings)
                training.Cancel();
            await Task.WhenAll(_trainings.Select(training => training.Ended)).ConfigureAwait(false);
        }
    }

    private async Task Sync(int places, WorkerFiles files)
    {
        try
        {
            var dispatcher = _grains.GetGrain<IDispatcherGrain>(DispatcherGrain.Key);
            var orders = await dispatcher.Sync(new WorkerReport(
                _id, _options.Name, _options.Version, places, [.. _trainings.Select(training => training.Report())]))
                .WaitAsync(ClusterConnection.Timeout).ConfigureAwait(false);
            foreach (var id in orders.Drop)
                Drop(id);
            foreach (var id in orders.Stop)
                Find(id)?.Stop();
            foreach (var run in orders.Clients)
                Find(run.Id)?.SetClient(run);
            foreach (var run in orders.Train.Where(run => Find(run.Id) is null))
                _trainings.Add(WorkerTraining.Begin(run, FreePlace(places), places, _options, files, _logger));
            foreach (var training in _trainings.Where(training => training.IsUnwanted).ToArray())
                Drop(training.Id);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // The silo starts or ends, or the machine of the dispatcher was lost. Runs go on meanwhile.
            LogSilence(e);
        }
    }

    private WorkerTraining? Find(string id) => _trainings.Find(training => training.Id == id);

    private void Drop(string id)
    {
        if (Find(id) is not { } training)
            return;
        training.Cancel();
        _trainings.Remove(training);
        _ = training.Ended.ContinueWith(_ => training.Dispose(), TaskScheduler.Default);
    }

    /// <summary>The smallest number that no run in training has: its GPU.</summary>
    private int FreePlace(int places) =>
        Enumerable.Range(0, places).First(place => !_trainings.Exists(t => t.Place == place && t.Report().State == HeldState.Training));

    [LoggerMessage(LogLevel.Debug, "The dispatcher does not answer.")]
    private partial void LogSilence(Exception e);
}
