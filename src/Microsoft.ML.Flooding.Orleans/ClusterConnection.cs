using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.ML.Flooding.Distribution;
using Microsoft.ML.Flooding.Training;
using Orleans.Concurrency;

namespace Microsoft.ML.Flooding.Orleans;

/// <summary>The connection of one Fit to the cluster: it tells the dispatcher what it wants, and answers the workers.</summary>
internal sealed class ClusterConnection : IClusterConnection, IOwnerObserver
{
    /// <summary>The bytes of a file in one message.</summary>
    public const int PieceLength = 1 << 20;

    /// <summary>An answer that takes longer was lost with the machine that it came from or through.</summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(300);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Goodbye = TimeSpan.FromSeconds(3);

    private readonly IClusterClient _client;
    private readonly IRunOwner _owner;
    private readonly IOwnerObserver _self;
    private readonly IDispatcherGrain _dispatcher;
    private readonly Guid _id = Guid.NewGuid();
    private readonly Lock _gate = new();
    private readonly List<WantedRun> _wanted = [];
    private readonly ConcurrentDictionary<string, long> _leases = [];
    private readonly Dictionary<string, string?> _workers = [];
    private readonly CancellationTokenSource _end = new();
    private readonly SemaphoreSlim _changed = new(0);
    private readonly Task _syncing;
    private readonly HashSet<string> _refused = [];

    public ClusterConnection(IClusterClient client, IRunOwner owner)
    {
        (_client, _owner) = (client, owner);
        _self = client.CreateObjectReference<IOwnerObserver>(this);
        _dispatcher = client.GetGrain<IDispatcherGrain>(DispatcherGrain.Key);
        _syncing = Task.Run(Sync);
    }

    public void Offer(string id, string name) => Change(wanted => wanted.Add(new WantedRun(id, name, Stop: false)));

    public void Withdraw(string id) => Change(wanted => wanted.RemoveAll(run => run.Id == id));

    public void Stop(string id) => Change(wanted =>
    {
        if (wanted.FindIndex(run => run.Id == id) is >= 0 and var index)
            wanted[index] = wanted[index] with { Stop = true };
    });

    public void Dispose()
    {
        _end.Cancel();
        _syncing.Wait(Goodbye);
        Change(wanted => wanted.Clear());
        try
        {
            // Without this, workers go on for a while.
            _dispatcher.Sync(Report()).Wait(Goodbye);
        }
        catch (AggregateException)
        {
        }
        _client.DeleteObjectReference<IOwnerObserver>(_self);
    }

    public Task<FilesMessage?> FilesOf(string id) => Task.FromResult(
        _owner.FilesOf(id) is { } files ? new FilesMessage(files.Names.ToDictionary(), files.Pixels.ToDictionary(), files.Folder) : null);

    public async Task<Immutable<byte[]>?> Read(string id, string file, long offset)
    {
        if (_owner.FilesOf(id) is null)
            return null;
        using var stream = _owner.Open(id, file);
        stream.Position = offset;
        var bytes = new byte[Math.Min(PieceLength, Math.Max(0, stream.Length - offset))];
        await stream.ReadExactlyAsync(bytes).ConfigureAwait(false);
        return new Immutable<byte[]>(bytes);
    }

    public Task<bool> Receive(string id, long lease, string file, long offset, Immutable<byte[]> bytes, bool isLast) =>
        IfOf(lease, id, () => _owner.Receive(id, file, offset, bytes.Value, isLast));

    public Task<bool> Written(string id, long lease, string file, string? epoch) => IfOf(lease, id, () => _owner.Written(
        id, file, epoch is null ? null : JsonSerializer.Deserialize<EpochMetrics>(epoch, SnapshotFile.Json)));

    public Task<bool> Failed(string id, long lease, string worker, string reason) =>
        IfOf(lease, id, () => _owner.Failed(id, worker, reason));

    /// <summary>Listens to the worker of the newest assignment only.</summary>
    private Task<bool> IfOf(long lease, string id, Action action)
    {
        if (_owner.FilesOf(id) is null || _leases.AddOrUpdate(id, lease, (_, known) => Math.Max(known, lease)) > lease)
            return Task.FromResult(false);
        action();
        return Task.FromResult(true);
    }

    private void Change(Action<List<WantedRun>> change)
    {
        lock (_gate)
            change(_wanted);
        _changed.Release();
    }

    private ClientReport Report()
    {
        lock (_gate)
            return new ClientReport(_id, _self, RunDescription.Version, [.. _wanted]);
    }

    private async Task Sync()
    {
        var silentSince = DateTime.UtcNow;
        var isWarned = false;
        while (!_end.IsCancellationRequested)
        {
            try
            {
                var report = Report();
                var orders = await _dispatcher.Sync(report).WaitAsync(Timeout).ConfigureAwait(false);
                Take(report, orders);
                if (orders.Workers > 0 || report.Runs.Count == 0)
                    (silentSince, isWarned) = (DateTime.UtcNow, false);
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                // The machine of the dispatcher was lost. It is found again on another one.
                if (!isWarned && DateTime.UtcNow - silentSince > Patience)
                    _owner.Notify($"The cluster does not answer: {e.Message} Fit waits for it.");
                isWarned |= DateTime.UtcNow - silentSince > Patience;
            }
            if (!isWarned && DateTime.UtcNow - silentSince > Patience)
            {
                isWarned = true;
                _owner.Notify("The cluster has no worker. Fit waits for one. Start workers with 'mlflood worker', or with AddFlooding().");
            }
            await _changed.WaitAsync(Pause, CancellationToken.None).ConfigureAwait(false);
        }
    }

    private void Take(ClientReport report, ClientOrders orders)
    {
        foreach (var run in report.Runs)
        {
            var assignment = orders.Assigned.GetValueOrDefault(run.Id);
            if (assignment is not null)
                _leases.AddOrUpdate(run.Id, assignment.Lease, (_, known) => Math.Max(known, assignment.Lease));
            if (_workers.GetValueOrDefault(run.Id) == assignment?.Worker)
                continue;
            _workers[run.Id] = assignment?.Worker;
            _owner.Assigned(run.Id, assignment?.Worker);
        }
        foreach (var refused in orders.Refused.Where(_refused.Add))
            _owner.Notify($"Worker {refused} is not used: this process has version {RunDescription.Version} of Microsoft.ML.Flooding.");
    }
}
