using System.Text.Json;
using Microsoft.Extensions.Logging;
using Microsoft.ML.Flooding.Distribution;
using Microsoft.ML.Flooding.Runtime;
using Microsoft.ML.Flooding.Training;
using Microsoft.ML.Runtime;
using Orleans.Concurrency;
using TorchSharp;

namespace Microsoft.ML.Flooding.Orleans;

/// <summary>
/// A run that this worker trains. It goes on while its client cannot be reached, and tells everything to the next client that wants the
/// run.
/// </summary>
internal sealed partial class WorkerTraining : IDisposable
{
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    /// <summary>For a piece of a file on a slow line.</summary>
    private static readonly TimeSpan AnswerTime = TimeSpan.FromSeconds(15);

    /// <summary>A run whose client was not reached for so long is given up.</summary>
    private static readonly TimeSpan Faithfulness = TimeSpan.FromHours(1);

    // Read before it is set for the first time.
    private static readonly Lazy<int> ThreadsOfProcess = new(torch.get_num_threads);

    private readonly FloodingWorkerOptions _options;
    private readonly WorkerFiles _files;
    private readonly ILogger _logger;
    private readonly int _places;
    private readonly string _name;
    private readonly CancellationTokenSource _cancel = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _news = new(0);
    private readonly Lock _gate = new();
    private readonly List<(string File, EpochMetrics? Epoch)> _written = [];
    private NewRun _client;
    private CancellationTokenSource _replaced;
    private int _told;
    private string? _sent;
    private string? _error;
    private volatile HeldState _state;
    private DateTime _reached = DateTime.UtcNow;

    private WorkerTraining(
        NewRun run, int place, int places, FloodingWorkerOptions options, WorkerFiles files, ILogger logger)
    {
        (_client, _name, Place, _places) = (run, run.Name, place, places);
        (_options, _files, _logger) = (options, files, logger);
        Id = run.Id;
        _replaced = CancellationTokenSource.CreateLinkedTokenSource(_cancel.Token);
    }

    public string Id { get; }

    /// <summary>The number of its GPU.</summary>
    public int Place { get; }

    /// <summary>Whether its client says that it is no longer wanted, or no client has been reached for long.</summary>
    public bool IsUnwanted { get; private set; }

    /// <summary>Completes when nothing of the run is left to do.</summary>
    public Task Ended { get; private set; } = Task.CompletedTask;

    public static WorkerTraining Begin(
        NewRun run, int place, int places, FloodingWorkerOptions options, WorkerFiles files, ILogger logger)
    {
        var training = new WorkerTraining(run, place, places, options, files, logger);
        training.Ended = Task.Run(training.Run);
        return training;
    }

    public HeldRun Report()
    {
        lock (_gate)
            return new HeldRun(Id, _client.Lease, _client.Client, _state);
    }

    /// <summary>Ends the run early, with a result.</summary>
    public void Stop() => _stop.Cancel();

    /// <summary>Ends the run without a result.</summary>
    public void Cancel() => _cancel.Cancel();

    /// <summary>Tells everything again, to a client that continues the Fit of one that was killed.</summary>
    public void SetClient(NewRun client)
    {
        lock (_gate)
        {
            (_client, _told, _sent) = (client, 0, null);
            _replaced.Cancel();
            _replaced.Dispose();
            _replaced = CancellationTokenSource.CreateLinkedTokenSource(_cancel.Token);
        }
        _news.Release();
    }

    /// <summary>Call it after <see cref="Ended"/>.</summary>
    public void Dispose()
    {
        _replaced.Dispose();
        _cancel.Dispose();
        _stop.Dispose();
        _news.Dispose();
    }

    private async Task Run()
    {
        WorkerMetrics.Begin();
        try
        {
            var fetched = await _files.Fetch(Id, _client.Owner, _cancel.Token).ConfigureAwait(false);
            if (fetched is not var (folder, isShared))
            {
                (IsUnwanted, _state) = (true, HeldState.Failed);
                WorkerMetrics.Drop();
                return;
            }
            LogBegin(_options.Name, _name, folder.Checkpoint is { } checkpoint ? RunFolder.EpochOf(checkpoint) : 0);
            var telling = Tell(folder, isShared);
            try
            {
                await Task.Factory.StartNew(
                    () => Train(folder), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)
                    .ConfigureAwait(false);
                _state = HeldState.Trained;
                LogEnd(_options.Name, _name);
                WorkerMetrics.End(failed: false);
            }
            catch (Exception e) when (!_cancel.IsCancellationRequested)
            {
                LogFailure(_name, e);
                _error = e.Message;
                WorkerMetrics.End(failed: true);
            }
            _news.Release();
            await telling.ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (_cancel.IsCancellationRequested)
        {
            WorkerMetrics.Drop();
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // The disk is full, or the client was lost before it had sent the run.
            LogFailure(_name, e);
            WorkerMetrics.End(failed: true);
            // What was lost with a machine is sent again.
            if (!_cancel.IsCancellationRequested && e is not (OrleansException or TimeoutException or OperationCanceledException))
                await TellFailure(e.Message).ConfigureAwait(false);
            _state = HeldState.Failed;
        }
        finally
        {
            if (_cancel.IsCancellationRequested || IsUnwanted)
                _files.Forget(Id);
        }
    }

    /// <summary>Tells the client once that the run failed. Without a client, nobody needs to know.</summary>
    private async Task TellFailure(string reason)
    {
        var client = _client;
        try
        {
            await client.Owner.Failed(Id, client.Lease, _options.Name, reason).WaitAsync(AnswerTime).ConfigureAwait(false);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            LogUnreachable(_name, e);
        }
    }

    private void Train(RunFolder folder)
    {
        using var channel = ((IHostEnvironment)new MLContext()).Start(nameof(WorkerTraining));
        var device = DeviceSelection.Choose(new MLContext(), channel, Place);
        // The setting is that of the thread.
        torch.set_num_threads(_options.Threads ?? Math.Max(1, ThreadsOfProcess.Value / _places));
        WorkerRun.Train(
            Id, folder, pixels => _files.PathOf(pixels.Digest, pixels.Length), device, _cancel.Token.ThrowIfCancellationRequested,
            (file, epoch) =>
            {
                if (epoch is not null)
                    WorkerMetrics.CountEpoch(_name, epoch);
                lock (_gate)
                    _written.Add((file, epoch));
                _news.Release();
            },
            _stop.Token);
    }

    /// <summary>Sends to the client what the training writes, until the client has the result or the error.</summary>
    private async Task Tell(RunFolder folder, bool isShared)
    {
        while (!_cancel.IsCancellationRequested)
        {
            await ((Task)_news.WaitAsync(Retry, _cancel.Token)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            while (Next() is var (client, file, epoch, sent) && !_cancel.IsCancellationRequested)
            {
                // An answer that the client did not give before it was killed is not waited for.
                var replaced = ReplacementOf(client);
                try
                {
                    var isWanted = file is null
                        ? await client.Owner.Failed(Id, client.Lease, _options.Name, _error!).WaitAsync(AnswerTime, replaced)
                            .ConfigureAwait(false)
                        : (isShared || sent is null || await Send(client, folder, sent, replaced).ConfigureAwait(false))
                            && await client.Owner.Written(
                                Id, client.Lease, file,
                                epoch is null ? null : JsonSerializer.Serialize(epoch, SnapshotFile.Json))
                                .WaitAsync(AnswerTime, replaced).ConfigureAwait(false);
                    _reached = DateTime.UtcNow;
                    if (!isWanted || file is null)
                    {
                        (IsUnwanted, _state) = (!isWanted, file is null ? HeldState.Failed : _state);
                        _cancel.Cancel();
                        return;
                    }
                    lock (_gate)
                    {
                        if (_client == client)
                            (_told, _sent) = (_told + 1, sent ?? _sent);
                    }
                }
                catch (Exception e) when (e is not OutOfMemoryException)
                {
                    // The client was killed, or a machine between was lost.
                    LogUnreachable(_name, e);
                    IsUnwanted = DateTime.UtcNow - _reached > Faithfulness;
                    break;
                }
            }
        }
    }

    /// <summary>
    /// What is to be told next, and what is sent before; null if everything was told. The file is null for the error. Several checkpoints
    /// in a row are told after the newest was sent. A branch is sent before the checkpoint of its epoch: a worker that continues from this
    /// does not write the branch again.
    /// </summary>
    private (NewRun Client, string? File, EpochMetrics? Epoch, string? Sent)? Next()
    {
        lock (_gate)
        {
            if (_told < _written.Count)
            {
                var (file, epoch) = _written[_told];
                if (epoch is null)
                    return (_client, file, epoch, file);
                var newest = _written.Skip(_told).TakeWhile(written => written.Epoch is not null).Last().File;
                return (_client, file, epoch, newest == _sent ? null : newest);
            }
            return _error is null || _state == HeldState.Failed ? null : (_client, null, null, null);
        }
    }

    /// <summary>Canceled when another client wants the run.</summary>
    private CancellationToken ReplacementOf(NewRun client)
    {
        lock (_gate)
            return _client == client ? _replaced.Token : new CancellationToken(canceled: true);
    }

    private async Task<bool> Send(NewRun client, RunFolder folder, string file, CancellationToken cancellationToken)
    {
        var path = folder.PathOf(file);
        // The training has written newer checkpoints meanwhile.
        if (!File.Exists(path))
            return true;
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
        var bytes = new byte[ClusterConnection.PieceLength];
        while (true)
        {
            var offset = stream.Position;
            var count = await stream.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, cancellationToken)
                .ConfigureAwait(false);
            var isLast = stream.Position == stream.Length;
            if (!await client.Owner.Receive(Id, client.Lease, file, offset, new Immutable<byte[]>(bytes[..count]), isLast)
                .WaitAsync(AnswerTime, cancellationToken).ConfigureAwait(false))
                return false;
            if (isLast)
                return true;
        }
    }

    [LoggerMessage(LogLevel.Information, "Worker {Worker} trains {Run} from epoch {Epoch}.")]
    private partial void LogBegin(string worker, string run, int epoch);

    [LoggerMessage(LogLevel.Information, "Worker {Worker} has trained {Run}.")]
    private partial void LogEnd(string worker, string run);

    [LoggerMessage(LogLevel.Error, "The run {Run} failed.")]
    private partial void LogFailure(string run, Exception e);

    [LoggerMessage(LogLevel.Debug, "The client of {Run} cannot be reached.")]
    private partial void LogUnreachable(string run, Exception e);
}
