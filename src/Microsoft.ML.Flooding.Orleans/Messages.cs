using Orleans.Concurrency;

namespace Microsoft.ML.Flooding.Orleans;

/// <summary>Assigns the runs of all clients to the workers. There is one in a cluster.</summary>
internal interface IDispatcherGrain : IGrainWithIntegerKey
{
    /// <summary>A client says what it wants, about twice a second.</summary>
    Task<ClientOrders> Sync(ClientReport report);

    /// <summary>A worker says what it trains, about twice a second.</summary>
    Task<WorkerOrders> Sync(WorkerReport report);
}

/// <summary>The process of a Fit, as a worker sees it. Each member returns false or null if the process no longer wants the run.</summary>
internal interface IOwnerObserver : IGrainObserver
{
    /// <summary>The files that the run needs.</summary>
    Task<FilesMessage?> FilesOf(string id);

    /// <summary>The next bytes of a file; empty at its end.</summary>
    Task<Immutable<byte[]>?> Read(string id, string file, long offset);

    /// <summary>Adds bytes to a file of the run.</summary>
    Task<bool> Receive(string id, long lease, string file, long offset, Immutable<byte[]> bytes, bool isLast);

    /// <summary>A file of the run is whole. The epoch that it ends is JSON.</summary>
    Task<bool> Written(string id, long lease, string file, string? epoch);

    /// <summary>The worker cannot train the run.</summary>
    Task<bool> Failed(string id, long lease, string worker, string reason);
}

/// <summary>The files of a run with their lengths, as <see cref="Distribution.RunFiles"/>.</summary>
[GenerateSerializer]
internal sealed record FilesMessage(
    [property: Id(0)] Dictionary<string, long> Names, [property: Id(1)] Dictionary<string, long> Pixels, [property: Id(2)] string? Folder);

/// <summary>What a client wants.</summary>
/// <param name="Client">Identifies the process and the Fit.</param>
/// <param name="Owner">Where workers read and write.</param>
/// <param name="Version">The version of the library.</param>
/// <param name="Runs">All runs that have no result yet, in the order in which they are to be trained.</param>
[GenerateSerializer]
internal sealed record ClientReport(
    [property: Id(0)] Guid Client, [property: Id(1)] IOwnerObserver Owner, [property: Id(2)] string Version,
    [property: Id(3)] List<WantedRun> Runs);

/// <summary>A run that a client wants.</summary>
/// <param name="Id">The id.</param>
/// <param name="Name">Its name, for logs.</param>
/// <param name="Stop">Whether the worker is asked to end it early.</param>
[GenerateSerializer]
internal sealed record WantedRun([property: Id(0)] string Id, [property: Id(1)] string Name, [property: Id(2)] bool Stop);

/// <summary>What a client learns.</summary>
/// <param name="Assigned">The worker of each run that has one.</param>
/// <param name="Workers">The number of workers of the client's version.</param>
/// <param name="Refused">Workers of other versions, with these.</param>
[GenerateSerializer]
internal sealed record ClientOrders(
    [property: Id(0)] Dictionary<string, Assignment> Assigned, [property: Id(1)] int Workers, [property: Id(2)] List<string> Refused);

/// <summary>Who trains a run.</summary>
/// <param name="Worker">The name of the worker.</param>
/// <param name="Lease">Higher than that of an earlier assignment, whose worker is no longer listened to.</param>
[GenerateSerializer]
internal sealed record Assignment([property: Id(0)] string Worker, [property: Id(1)] long Lease);

/// <summary>What a worker does.</summary>
/// <param name="Worker">Identifies the process.</param>
/// <param name="Name">Its name.</param>
/// <param name="Version">The version of the library.</param>
/// <param name="Places">The number of runs that it trains at a time.</param>
/// <param name="Runs">The runs that it has.</param>
[GenerateSerializer]
internal sealed record WorkerReport(
    [property: Id(0)] Guid Worker, [property: Id(1)] string Name, [property: Id(2)] string Version, [property: Id(3)] int Places,
    [property: Id(4)] List<HeldRun> Runs);

/// <summary>A run that a worker has.</summary>
/// <param name="Id">The id.</param>
/// <param name="Lease">That of its assignment.</param>
/// <param name="Client">The client that it writes to.</param>
/// <param name="State">How far it is.</param>
[GenerateSerializer]
internal sealed record HeldRun(
    [property: Id(0)] string Id, [property: Id(1)] long Lease, [property: Id(2)] Guid Client, [property: Id(3)] HeldState State);

/// <summary>How far a worker is with a run.</summary>
internal enum HeldState
{
    /// <summary>It trains the run.</summary>
    Training,

    /// <summary>It has the result, and keeps it until the client has it.</summary>
    Trained,

    /// <summary>It has failed and told the client.</summary>
    Failed,
}

/// <summary>What a worker is to do.</summary>
/// <param name="Train">Runs to begin.</param>
/// <param name="Drop">Runs to forget.</param>
/// <param name="Stop">Runs to end early.</param>
/// <param name="Clients">Runs whose client is another one now, because the earlier one was killed.</param>
[GenerateSerializer]
internal sealed record WorkerOrders(
    [property: Id(0)] List<NewRun> Train, [property: Id(1)] List<string> Drop, [property: Id(2)] List<string> Stop,
    [property: Id(3)] List<NewRun> Clients);

/// <summary>A run and its client.</summary>
[GenerateSerializer]
internal sealed record NewRun(
    [property: Id(0)] string Id, [property: Id(1)] string Name, [property: Id(2)] long Lease, [property: Id(3)] Guid Client,
    [property: Id(4)] IOwnerObserver Owner);
