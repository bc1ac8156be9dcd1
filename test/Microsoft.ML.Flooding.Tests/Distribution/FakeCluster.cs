using Microsoft.ML.Flooding.Distribution;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Distribution;

/// <summary>A cluster of one worker in this process, which copies every file as a network would.</summary>
/// <param name="fails">Gives why the worker cannot train a run; null: it can.</param>
internal sealed class FakeCluster(Func<string, string?>? fails = null) : TrainingCluster
{
    private readonly List<string> _trained = [];

    /// <summary>The names of the runs that the worker has trained, or tried to.</summary>
    public IReadOnlyList<string> Trained => _trained;

    /// <summary>Called before the worker trains a run.</summary>
    public Action<string>? Beginning { get; init; }

    internal override IClusterConnection Connect(IRunOwner owner) => new Connection(this, owner);

    private sealed class Connection : IClusterConnection
    {
        private readonly FakeCluster _cluster;
        private readonly IRunOwner _owner;
        private readonly List<(string Id, string Name)> _offers = [];
        private readonly Thread _worker;
        private readonly string _folder = Directory.CreateTempSubdirectory("flooding-worker-").FullName;
        private readonly CancellationTokenSource _stop = new();
        private volatile bool _ended;

        public Connection(FakeCluster cluster, IRunOwner owner)
        {
            (_cluster, _owner) = (cluster, owner);
            _worker = new Thread(Work);
            _worker.Start();
        }

        public void Offer(string id, string name)
        {
            lock (_offers)
                _offers.Add((id, name));
        }

        public void Withdraw(string id)
        {
            lock (_offers)
                _offers.RemoveAll(offer => offer.Id == id);
        }

        public void Stop(string id) => _stop.Cancel();

        public void Dispose()
        {
            _ended = true;
            _worker.Join();
            _stop.Dispose();
            Directory.Delete(_folder, recursive: true);
        }

        private void Work()
        {
            while (!_ended)
            {
                (string Id, string Name) offer;
                lock (_offers)
                    offer = _offers.FirstOrDefault();
                if (offer.Id is not null && _owner.FilesOf(offer.Id) is { } files)
                    Train(offer.Id, offer.Name, files);
                // The thread of the Fit withdraws what has ended.
                for (var wait = 0; wait < 500 && !_ended && _owner.FilesOf(offer.Id ?? "") is not null; wait++)
                {
                    Thread.Sleep(10);
                    if (offer.Name is not null && _cluster._fails(offer.Name) is not null)
                        break;
                }
                Thread.Sleep(1);
            }
        }

        private void Train(string id, string name, RunFiles files)
        {
            lock (_cluster._trained)
                _cluster._trained.Add(name);
            _cluster.Beginning?.Invoke(name);
            _owner.Assigned(id, "fake");
            if (_cluster._fails(name) is { } reason)
            {
                _owner.Failed(id, "fake", reason);
                return;
            }
            var folder = new RunFolder(Path.Combine(_folder, id));
            foreach (var file in files.Names.Keys)
                Fetch(id, file, folder.PathOf(file));
            foreach (var digest in files.Pixels.Keys)
                Fetch(id, digest, Path.Combine(_folder, digest));
            WorkerRun.Train(
                id, folder, pixels => Path.Combine(_folder, pixels.Digest), CPU, () => ObjectDisposedException.ThrowIf(_ended, this),
                (file, epoch) =>
                {
                    var bytes = File.ReadAllBytes(folder.PathOf(file));
                    var half = bytes.Length / 2;
                    _owner.Receive(id, file, 0, bytes.AsSpan(0, half), isLast: false);
                    _owner.Receive(id, file, half, bytes.AsSpan(half), isLast: true);
                    _owner.Written(id, file, epoch);
                },
                _stop.Token);
        }

        private void Fetch(string id, string file, string path)
        {
            using var source = _owner.Open(id, file);
            using var target = File.Create(path);
            source.CopyTo(target);
        }
    }

    private readonly Func<string, string?> _fails = fails ?? (_ => null);
}
