namespace Microsoft.ML.Flooding;

/// <summary>
/// Machines that train for this process, such as <c>OrleansCluster</c> of the package Microsoft.ML.Flooding.Orleans. The runs of a search,
/// the networks of held-out predictions and the run of a plain Fit go to its workers; this process reads the images and keeps the results.
/// </summary>
/// <remarks>
/// On workers of one kind with the same number of threads, a search gives the same bits as in one process. Fit needs libtorch in this
/// process too.
/// </remarks>
public abstract class TrainingCluster
{
    /// <summary>For the packages of this library.</summary>
    internal TrainingCluster()
    {
    }

    /// <summary>
    /// Receives the runs of a Fit in the order in which they were started, each time that something has changed. Called by the thread that
    /// calls Fit. Default: null.
    /// </summary>
    public IProgress<IReadOnlyList<ClusterRun>>? Progress { get; set; }

    /// <summary>
    /// A folder that this process and workers see, such as a network share. Workers read images from it, and write checkpoints and results
    /// into it, instead of sending them through the cluster. The pixels stay in it, for later runs on the same images. Default (null): all
    /// files are sent, and each worker keeps the images for its lifetime.
    /// </summary>
    public string? SharedFolder { get; set; }

    /// <summary>Offers runs to the workers.</summary>
    /// <param name="owner">What workers read from and write to.</param>
    internal abstract Distribution.IClusterConnection Connect(Distribution.IRunOwner owner);
}

/// <summary>A run on a <see cref="TrainingCluster"/>.</summary>
/// <param name="Name">What distinguishes it from the other runs, such as <c>level-0.03</c>.</param>
/// <param name="State">What has become of it.</param>
/// <param name="Worker">The name of the worker that trains it, or has trained it last; null if none has.</param>
/// <param name="Epochs">The epochs of the whole run.</param>
/// <param name="Last">The newest epoch; null before the first.</param>
public sealed record ClusterRun(string Name, ClusterRunState State, string? Worker, int Epochs, EpochMetrics? Last)
{
    /// <summary>The name, the state and the worker, and the newest epoch.</summary>
    public override string ToString() =>
        $"{Name}: {State}{(Worker is null ? "" : $" on {Worker}")}{(Last is null ? "" : $", {Last.Epoch} of {Epochs} epochs")}";
}

/// <summary>What has become of a <see cref="ClusterRun"/>.</summary>
public enum ClusterRunState
{
    /// <summary>No worker has a free place for it.</summary>
    Waiting,

    /// <summary>A worker trains it.</summary>
    Running,

    /// <summary>It has a result.</summary>
    Done,

    /// <summary>Workers have failed to train it.</summary>
    Failed,

    /// <summary>It was not started before the training was stopped.</summary>
    Canceled,
}
