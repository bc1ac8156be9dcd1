namespace Microsoft.ML.Flooding.Orleans;

/// <summary>
/// Decides which worker trains which run. It keeps nothing that clients and workers do not tell again within a second, so a new one takes
/// over where the machine of the old one was lost.
/// </summary>
/// <param name="time">The clock.</param>
internal sealed class Dispatcher(TimeProvider time)
{
    /// <summary>A new dispatcher assigns nothing for so long: workers first say what they have.</summary>
    public static readonly TimeSpan Listening = TimeSpan.FromSeconds(2);

    /// <summary>A worker that was silent for so long has lost its runs.</summary>
    public static readonly TimeSpan WorkerTimeout = TimeSpan.FromSeconds(8);

    /// <summary>The runs of a client that was silent for so long are not given to workers.</summary>
    public static readonly TimeSpan ClientTimeout = TimeSpan.FromSeconds(30);

    // A client that was killed does not report for so long.
    private static readonly TimeSpan Handover = TimeSpan.FromSeconds(3);

    // A worker may report once without a run that it was given: the answers cross.
    private static readonly TimeSpan Crossing = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan Remembered = TimeSpan.FromMinutes(10);

    private readonly DateTimeOffset _began = time.GetUtcNow();
    private readonly List<Run> _runs = [];
    private readonly Dictionary<Guid, Worker> _workers = [];
    private readonly Dictionary<string, DateTimeOffset> _withdrawn = [];
    private long _lease;

    /// <summary>The number of runs that wait for a worker.</summary>
    public int Waiting => _runs.Count(run => run.Worker is null);

    /// <summary>Takes in what a client wants.</summary>
    public ClientOrders Sync(ClientReport report)
    {
        var now = time.GetUtcNow();
        foreach (var wanted in report.Runs)
        {
            var run = _runs.Find(r => r.Id == wanted.Id) ?? Add(wanted.Id);
            // Two clients that want the same get it one after the other.
            if (run.Owner is not null && run.Client != report.Client && now - run.ClientSeen < Handover)
                continue;
            _withdrawn.Remove(wanted.Id);
            (run.Name, run.Version, run.Client, run.Owner, run.ClientSeen, run.Stop) =
                (wanted.Name, report.Version, report.Client, report.Owner, now, wanted.Stop);
        }
        foreach (var run in _runs.Where(run => run.Client == report.Client && !report.Runs.Exists(r => r.Id == run.Id)).ToArray())
        {
            _runs.Remove(run);
            _withdrawn[run.Id] = now;
        }
        Expire(now);
        return new ClientOrders(
            _runs.Where(run => run.Client == report.Client && run.Worker is not null)
                .ToDictionary(run => run.Id, run => new Assignment(run.Worker!.Name, run.Lease)),
            _workers.Values.Count(worker => worker.Version == report.Version),
            [.. _workers.Values.Where(w => w.Version != report.Version).Select(w => $"'{w.Name}' (version {w.Version})").Distinct()]);
    }

    /// <summary>Takes in what a worker has, and gives it work.</summary>
    public WorkerOrders Sync(WorkerReport report)
    {
        var now = time.GetUtcNow();
        if (!_workers.TryGetValue(report.Worker, out var worker))
            _workers[report.Worker] = worker = new Worker(report.Name, report.Version);
        worker.Seen = now;
        var drop = new List<string>();
        var clients = new List<NewRun>();
        foreach (var held in report.Runs)
            Take(held);
        foreach (var lost in _runs.Where(run => run.Worker == worker && now - run.AssignedAt > Crossing
            && !report.Runs.Exists(held => held.Id == run.Id)))
            lost.Worker = null;
        Expire(now);
        return new WorkerOrders(Assign(), drop, [.. _runs.Where(run => run.Worker == worker && run.Stop).Select(run => run.Id)], clients);

        void Take(HeldRun held)
        {
            var run = _runs.Find(r => r.Id == held.Id);
            if (run is null && _withdrawn.ContainsKey(held.Id))
            {
                drop.Add(held.Id);
                return;
            }
            // The client has not said yet that it wants the run, or was killed and may come back.
            run ??= Add(held.Id);
            if (held.State == HeldState.Failed || (run.Worker is not null && run.Worker != worker && run.Lease > held.Lease))
            {
                if (run.Worker == worker)
                    run.Worker = null;
                drop.Add(held.Id);
                return;
            }
            if (run.Worker != worker)
                (run.Worker, run.Lease, run.AssignedAt) = (worker, held.Lease, now);
            _lease = Math.Max(_lease, run.Lease);
            if (run.Owner is { } owner && run.Client != held.Client)
                clients.Add(new NewRun(run.Id, run.Name, run.Lease, run.Client, owner));
        }

        List<NewRun> Assign()
        {
            var train = new List<NewRun>();
            if (now - _began < Listening)
                return train;
            var free = report.Places - report.Runs.Count(held => held.State == HeldState.Training && !drop.Contains(held.Id));
            foreach (var run in _runs.Where(run => run.Worker is null && run.Owner is not null && run.Version == report.Version).Take(free))
            {
                // Higher than that of a dispatcher before this one.
                _lease = Math.Max(_lease + 1, now.UtcTicks);
                (run.Worker, run.Lease, run.AssignedAt) = (worker, _lease, now);
                train.Add(new NewRun(run.Id, run.Name, run.Lease, run.Client, run.Owner!));
            }
            return train;
        }
    }

    private Run Add(string id)
    {
        var run = new Run(id);
        _runs.Add(run);
        return run;
    }

    private void Expire(DateTimeOffset now)
    {
        foreach (var (id, worker) in _workers.Where(w => now - w.Value.Seen > WorkerTimeout).ToArray())
        {
            _workers.Remove(id);
            foreach (var run in _runs.Where(run => run.Worker == worker))
                run.Worker = null;
        }
        foreach (var run in _runs.Where(run => run.Owner is not null && now - run.ClientSeen > ClientTimeout))
            (run.Owner, run.Client) = (null, Guid.Empty);
        _runs.RemoveAll(run => run.Owner is null && run.Worker is null);
        foreach (var (id, _) in _withdrawn.Where(w => now - w.Value > Remembered).ToArray())
            _withdrawn.Remove(id);
    }

    private sealed class Run(string id)
    {
        public string Id { get; } = id;

        public string Name { get; set; } = "";

        public string Version { get; set; } = "";

        public Guid Client { get; set; }

        public IOwnerObserver? Owner { get; set; }

        public DateTimeOffset ClientSeen { get; set; }

        public bool Stop { get; set; }

        public Worker? Worker { get; set; }

        public long Lease { get; set; }

        public DateTimeOffset AssignedAt { get; set; }
    }

    private sealed class Worker(string name, string version)
    {
        public string Name { get; } = name;

        public string Version { get; } = version;

        public DateTimeOffset Seen { get; set; }
    }
}
