namespace Microsoft.ML.Flooding.Distribution;

/// <summary>
/// The process whose Fit a cluster trains for: it has the files of the runs. A cluster calls the members from any thread.
/// </summary>
internal interface IRunOwner
{
    /// <summary>The files that a worker needs to train a run or to continue it. Null if this process no longer wants the run.</summary>
    RunFiles? FilesOf(string id);

    /// <summary>Opens a file of a run, or the pixels of a digest, for reading.</summary>
    Stream Open(string id, string file);

    /// <summary>Adds a piece to a file of a run, as <see cref="RunFolder.Receive"/>.</summary>
    void Receive(string id, string file, long offset, ReadOnlySpan<byte> bytes, bool isLast);

    /// <summary>A file of a run is whole, in this process or in the shared folder.</summary>
    /// <param name="id">The run.</param>
    /// <param name="file">The name of the file.</param>
    /// <param name="epoch">The epoch that it ends, if it is a checkpoint.</param>
    void Written(string id, string file, EpochMetrics? epoch);

    /// <summary>A worker has failed to train a run.</summary>
    void Failed(string id, string worker, string reason);

    /// <summary>A worker trains a run; null: none does.</summary>
    void Assigned(string id, string? worker);

    /// <summary>Tells the user something about the cluster as a whole.</summary>
    void Notify(string message);
}

/// <summary>The files that a worker needs.</summary>
/// <param name="Names">Files of the run, with their lengths.</param>
/// <param name="Pixels">Digests of pixels, with their lengths.</param>
/// <param name="Folder">The folder of the run, relative to the shared folder; null if it is not in it.</param>
internal sealed record RunFiles(IReadOnlyDictionary<string, long> Names, IReadOnlyDictionary<string, long> Pixels, string? Folder);

/// <summary>The cluster as seen by one Fit. Disposing of it withdraws all runs.</summary>
internal interface IClusterConnection : IDisposable
{
    /// <summary>Offers a run to the workers.</summary>
    void Offer(string id, string name);

    /// <summary>Says that a run is wanted no longer: it has a result, or has failed.</summary>
    void Withdraw(string id);

    /// <summary>Asks the worker of a run to end it early, with a result.</summary>
    void Stop(string id);
}
