namespace Microsoft.ML.Flooding;

/// <summary>How a silo trains the runs of a cluster.</summary>
public sealed class FloodingWorkerOptions
{
    /// <summary>
    /// The name of the worker in progress tables and errors. Default: the name of the machine and the number of the process.
    /// </summary>
    public string Name { get; set; } = $"{Environment.MachineName}-{Environment.ProcessId}";

    /// <summary>
    /// The number of runs that the worker trains at a time, at least 1. Each takes another GPU, as far as there are any. Default (null):
    /// one for each GPU; 1 without a GPU.
    /// </summary>
    public int? Places { get; set; }

    /// <summary>
    /// The number of threads of each run, at least 1. Runs with another number of threads can differ in the last bits. Default (null): the
    /// threads of a process that trains alone (all cores, or OMP_NUM_THREADS), divided by <see cref="Places"/>.
    /// </summary>
    public int? Threads { get; set; }

    /// <summary>
    /// The folder of <see cref="TrainingCluster.SharedFolder"/> as this machine sees it. Default (null): all files are sent through the
    /// cluster.
    /// </summary>
    public string? SharedFolder { get; set; }

    /// <summary>
    /// A folder for images and checkpoints that were sent, which is emptied when the worker ends. Default (null): a folder among the
    /// system's temporary files.
    /// </summary>
    public string? CacheFolder { get; set; }

    /// <summary>The version that the worker reports; another one than the library's only in tests.</summary>
    internal string Version { get; set; } = Distribution.RunDescription.Version;

    internal void Validate()
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(Name);
        if (Places is { } places)
            ArgumentOutOfRangeException.ThrowIfLessThan(places, 1, nameof(Places));
        if (Threads is { } threads)
            ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1, nameof(Threads));
        if (SharedFolder is { } shared && !Directory.Exists(shared))
            throw new DirectoryNotFoundException($"{nameof(SharedFolder)}: there is no folder '{shared}'.");
    }
}
