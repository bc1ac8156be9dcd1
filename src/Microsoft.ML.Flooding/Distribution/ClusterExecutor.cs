using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Training;

namespace Microsoft.ML.Flooding.Distribution;

/// <summary>
/// Trains runs on a <see cref="TrainingCluster"/>. This process keeps all files of a run in one folder, which is its checkpoint directory
/// if it has one. A worker or this process can be killed at any time: the run continues from the newest checkpoint of the folder.
/// </summary>
internal sealed class ClusterExecutor : IRunExecutor, IRunOwner, IDisposable
{
    private const int MostFailures = 3;
    private const string PixelsFolder = "pixels";

    private readonly TrainingCluster _cluster;
    private readonly CancellationToken _stop;
    private readonly Action _checkAlive;
    private readonly Action<string> _warn;
    private readonly string _root;
    private readonly string _ownFolder;
    private readonly IClusterConnection _connection;
    private readonly ConcurrentDictionary<string, StartedRun> _byId = [];
    private readonly List<StartedRun> _started = [];
    private readonly Dictionary<ImageSet, PixelFile> _pixels = new(ReferenceEqualityComparer.Instance);
    private readonly BlockingCollection<Action> _events = [];
    private bool _stopped;

    /// <param name="cluster">The cluster.</param>
    /// <param name="checkAlive">Called while waiting; throws to cancel.</param>
    /// <param name="warn">Tells the user something, from the thread that waits.</param>
    /// <param name="stop">Ends the training early.</param>
    public ClusterExecutor(TrainingCluster cluster, Action checkAlive, Action<string> warn, CancellationToken stop)
    {
        (_cluster, _stop, _checkAlive, _warn) = (cluster, stop, checkAlive, warn);
        _root = cluster.SharedFolder is { } shared ? Path.GetFullPath(shared) : Path.GetTempPath();
        _ownFolder = Path.Combine(_root, $"flooding-{Guid.NewGuid():N}");
        Directory.CreateDirectory(PixelRoot);
        _connection = cluster.Connect(this);
    }

    /// <summary>Pixels in a shared folder stay there: other runs may read them.</summary>
    private string PixelRoot => Path.Combine(_cluster.SharedFolder is null ? _ownFolder : _root, PixelsFolder);

    /// <summary>The path of pixels in a shared folder.</summary>
    public static string SharedPixels(string sharedFolder, string digest) => Path.Combine(sharedFolder, PixelsFolder, digest);

    public Task<RunResult> Start(RunFactory runs, RunRequest request)
    {
        var identity = runs.Identify(request.Options);
        var id = IdOf(request, identity);
        var folder = new RunFolder(request.Options.CheckpointDirectory ?? Path.Combine(_ownFolder, id));
        var run = new StartedRun(id, request, folder);
        _started.Add(run);
        // Finds the run again after this process was killed, and checks that the folder is not that of another run.
        var checkpoints = new CheckpointStore(folder.Path, identity);
        using (var newest = checkpoints.LoadNewest())
            run.Reported = (newest ?? request.Start)?.Progress.Epochs.Count ?? 0;
        BranchOff(run);
        if (ResultFile.Read(folder.PathOf(RunFolder.Result), id) is { } result)
        {
            run.State = ClusterRunState.Done;
            Complete(run, result);
            return run.Completion.Task;
        }
        var data = runs.Data;
        run.Pixels = PixelsOf(data.Training);
        var validationPixels = data.Validation is { } validation ? PixelsOf(validation) : null;
        run.ValidationPixels = ReferenceEquals(run.Pixels, validationPixels) ? null : validationPixels;
        RunFile.Write(
            folder.PathOf(RunFolder.Run),
            new RunDescription(
                request.Name, request.Options, runs.Architecture.Name, runs.Classes, runs.Normalization, runs.Seed, identity, run.Pixels,
                validationPixels, request.Branching?.Levels ?? [], request.Branching?.EndsRun ?? false),
            runs);
        if (request.Start is { } start)
            SnapshotFile.Write(folder.PathOf(RunFolder.Start), start, identity);
        _byId[id] = run;
        _connection.Offer(id, request.Name);
        ReportProgress();
        return run.Completion.Task;
    }

    public void Wait(Task run)
    {
        while (!run.IsCompleted)
        {
            _checkAlive();
            if (!_stopped && _stop.IsCancellationRequested)
                Stop();
            if (!_events.TryTake(out var action, TimeSpan.FromMilliseconds(100)))
                continue;
            do
                action();
            while (_events.TryTake(out action));
            ThrowFailures();
            ReportProgress();
        }
    }

    RunFiles? IRunOwner.FilesOf(string id)
    {
        if (!_byId.TryGetValue(id, out var run))
            return null;
        string?[] names = [RunFolder.Run, File.Exists(run.Folder.PathOf(RunFolder.Start)) ? RunFolder.Start : null, run.Folder.Checkpoint];
        var relative = _cluster.SharedFolder is null ? null : Path.GetRelativePath(_root, run.Folder.Path);
        return new RunFiles(
            names.OfType<string>().ToDictionary(name => name, name => new FileInfo(run.Folder.PathOf(name)).Length),
            new[] { run.Pixels, run.ValidationPixels }.OfType<PixelFile>().DistinctBy(p => p.Digest)
                .ToDictionary(pixels => pixels.Digest, pixels => pixels.Length),
            relative is null || relative.StartsWith("..", StringComparison.Ordinal) || Path.IsPathRooted(relative) ? null : relative);
    }

    Stream IRunOwner.Open(string id, string file)
    {
        var run = _byId[id];
        var path = file == run.Pixels?.Digest || file == run.ValidationPixels?.Digest
            ? Path.Combine(PixelRoot, file)
            : run.Folder.PathOf(file);
        return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
    }

    void IRunOwner.Receive(string id, string file, long offset, ReadOnlySpan<byte> bytes, bool isLast)
    {
        if (_byId.TryGetValue(id, out var run))
            run.Folder.Receive(file, offset, bytes, isLast);
    }

    void IRunOwner.Written(string id, string file, EpochMetrics? epoch) => Post(id, run =>
    {
        if (epoch is not null && epoch.Epoch > run.Reported)
        {
            (run.Reported, run.Last) = (epoch.Epoch, epoch);
            run.Request.Report(epoch);
            run.Request.Options.MetricsCallback?.Invoke(epoch);
        }
        BranchOff(run);
        if (file != RunFolder.Result || ResultFile.Read(run.Folder.PathOf(file), id) is not { } result)
            return;
        run.State = result.Failure is null ? ClusterRunState.Done : ClusterRunState.Failed;
        Close(run);
        // A run that was stopped goes on when it is started again.
        if (result.History.Stopped)
            File.Delete(run.Folder.PathOf(file));
        Complete(run, result);
    });

    void IRunOwner.Failed(string id, string worker, string reason) => Post(id, run =>
    {
        run.Failures++;
        _warn($"Worker '{worker}' failed to train '{run.Request.Name}' ({run.Failures} of {MostFailures}): {reason}");
        (run.Worker, run.State) = (worker, ClusterRunState.Waiting);
        if (run.Failures < MostFailures)
            return;
        run.State = ClusterRunState.Failed;
        run.Error = $"Workers failed {MostFailures} times to train '{run.Request.Name}'. Worker '{worker}': {reason}";
        Close(run);
    });

    void IRunOwner.Assigned(string id, string? worker) => Post(id, run =>
    {
        run.Worker = worker ?? run.Worker;
        run.State = worker is null ? ClusterRunState.Waiting : ClusterRunState.Running;
    });

    void IRunOwner.Notify(string message) => _events.Add(() => _warn(message));

    public void Dispose()
    {
        _connection.Dispose();
        if (Directory.Exists(_ownFolder))
            Directory.Delete(_ownFolder, recursive: true);
        _events.Dispose();
    }

    /// <summary>The same for the same run in every process, whatever it took to get there.</summary>
    private static string IdOf(RunRequest request, IReadOnlyDictionary<string, string> identity)
    {
        var text = new StringBuilder(RunDescription.Version).Append('\n').Append(request.Name).Append('\n');
        foreach (var (key, value) in identity.OrderBy(entry => entry.Key, StringComparer.Ordinal))
            text.Append(key).Append('=').Append(value).Append('\n');
        text.Append(request.Start?.Progress.Epochs.Count ?? 0);
        if (request.Branching is { } branching)
            text.Append(branching.EndsRun).AppendJoin(' ', branching.Levels.Select(level => FormattableString.Invariant($"{level:R}")));
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())), 0, 16);
    }

    private PixelFile PixelsOf(ImageSet set)
    {
        if (_pixels.TryGetValue(set, out var known))
            return known;
        var pixels = PixelFile.Of(set);
        var path = Path.Combine(PixelRoot, pixels.Digest);
        if (!File.Exists(path))
            pixels.Write(path, set);
        return _pixels[set] = pixels;
    }

    private void Post(string id, Action<StartedRun> action)
    {
        if (_byId.TryGetValue(id, out var run) && !_events.IsAddingCompleted)
            _events.Add(() =>
            {
                if (_byId.ContainsKey(id))
                    action(run);
            });
    }

    /// <summary>Starts the runs that branch off. A worker can be lost before it has told of a branch that it wrote.</summary>
    private static void BranchOff(StartedRun run)
    {
        if (run.Request.Branching is not { } branching)
            return;
        foreach (var file in run.Folder.Branches.Where(file => run.Branched.Add(RunFolder.EpochOf(file))))
        {
            var point = WorkerRun.ReadBranch(run.Folder, file);
            using (point.Start)
                branching.BranchOff(point);
        }
    }

    private void Complete(StartedRun run, RunResult result)
    {
        run.Last = result.History.Epochs is [.., var last] ? last : null;
        run.Completion.SetResult(result);
        ReportProgress();
    }

    private void Close(StartedRun run)
    {
        _byId.TryRemove(run.Id, out _);
        _connection.Withdraw(run.Id);
    }

    /// <summary>Ends the runs that workers train, and cancels the others.</summary>
    private void Stop()
    {
        _stopped = true;
        foreach (var run in _byId.Values)
        {
            if (run.State == ClusterRunState.Running)
            {
                _connection.Stop(run.Id);
                continue;
            }
            run.State = ClusterRunState.Canceled;
            Close(run);
            run.Completion.SetCanceled(_stop);
        }
    }

    /// <summary>The error of a run waits until the other runs have their results, which are kept.</summary>
    private void ThrowFailures()
    {
        if (!_byId.IsEmpty)
            return;
        foreach (var run in _started.Where(run => run.Error is not null && !run.Completion.Task.IsCompleted))
        {
            const string Option = nameof(TrainingOptions.CheckpointDirectory);
            run.Completion.SetException(new InvalidOperationException($"{run.Error} " + (run.Request.Options.CheckpointDirectory is null
                ? $"Set {Option} to keep the results of the other runs."
                : $"The results of the other runs are in the {Option}: Fit continues from them.")));
        }
    }

    private void ReportProgress() => _cluster.Progress?.Report(
        [.. _started.Select(run =>
            new ClusterRun(run.Request.Name, run.State, run.Worker, run.Request.Options.EffectiveEpochs, run.Last))]);

    private sealed class StartedRun(string id, RunRequest request, RunFolder folder)
    {
        public string Id { get; } = id;

        public RunRequest Request { get; } = request;

        public RunFolder Folder { get; } = folder;

        public TaskCompletionSource<RunResult> Completion { get; } = new();

        public HashSet<int> Branched { get; } = [];

        public PixelFile? Pixels { get; set; }

        public PixelFile? ValidationPixels { get; set; }

        public ClusterRunState State { get; set; }

        public string? Worker { get; set; }

        public EpochMetrics? Last { get; set; }

        public int Reported { get; set; }

        public int Failures { get; set; }

        public string? Error { get; set; }
    }
}
