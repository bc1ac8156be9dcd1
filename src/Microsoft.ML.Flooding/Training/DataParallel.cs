using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML.Flooding;

/// <summary>
/// How several processes train one network together: each computes a share of every mini-batch, and the gradients are summed. Every process
/// runs the same program on the same data.
/// </summary>
public sealed class DataParallel
{
    private readonly string _name;
    private readonly Func<ProcessGroup> _join;

    /// <param name="name">Names the engine in the run identity.</param>
    /// <param name="join">Joins the processes.</param>
    internal DataParallel(string name, Func<ProcessGroup> join) => (_name, _join) = (name, join);

    /// <summary>The number of this process, from 0. The process of rank 0 logs, writes checkpoints and reports.</summary>
    /// <remarks>Use it where only one process should act, such as to save the model: every process has the same one.</remarks>
    /// <exception cref="InvalidOperationException">The processes cannot be joined; the message says why.</exception>
    public int Rank => Group.Rank;

    /// <summary>The number of processes.</summary>
    /// <exception cref="InvalidOperationException">The processes cannot be joined; the message says why.</exception>
    public int Size => Group.Size;

    /// <summary>The processes. The first use joins them.</summary>
    internal ProcessGroup Group => _join();

    /// <summary>
    /// The processes that mpirun started, such as <c>mpirun -n 4 dotnet app.dll</c>. Uses the MPI library of the machine: Open MPI, MPICH,
    /// Intel MPI or Microsoft MPI. A process that was not started by mpirun trains alone.
    /// </summary>
    public static DataParallel Mpi() => new(nameof(Mpi), static () => Runtime.Mpi.World);

    /// <inheritdoc/>
    public override string ToString() => _name;
}
