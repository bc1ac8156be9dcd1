using System.Runtime.InteropServices;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>
/// The processes that mpirun started, by the MPI library of the machine. MPI's functions are the same in all libraries, its constants are
/// not: in Open MPI they are addresses of exported variables, in MPICH and the libraries that descend from it (Intel MPI, Microsoft MPI)
/// numbers.
/// </summary>
internal sealed unsafe class Mpi : ProcessGroup
{
    // MPI_THREAD_SERIALIZED: any thread, one at a time.
    private const int Serialized = 2;

    private static readonly string[] OpenMpiNames = ["libmpi.so.40", "libmpi.40.dylib", "/opt/homebrew/lib/libmpi.40.dylib"];
    private static readonly string[] MpichNames =
        ["libmpi.so.12", "libmpich.so.12", "libmpi.12.dylib", "/opt/homebrew/lib/libmpi.12.dylib", "msmpi.dll", "impi.dll"];

    private static readonly Lazy<Mpi> Joined = new(() => new Mpi());

    private readonly delegate* unmanaged<nint, void*, int, nint, nint, nint, int> _allreduce;
    private readonly delegate* unmanaged<void*, int, nint, int, nint, int> _broadcast;
    private readonly delegate* unmanaged<int> _finalize;
    private readonly delegate* unmanaged<nint, int, int> _abort;
    private readonly nint _world;
    private readonly nint _float;
    private readonly nint _double;
    private readonly nint _byte;
    private readonly nint _sum;
    private readonly nint _inPlace;

    private Mpi()
    {
        // UCX, through which MPI libraries talk, takes the signals by which .NET notices null references, and ends the process.
        NativeEnvironment.SetDefault("UCX_ERROR_SIGNALS", "");
        var (library, name) = Load(LibraryNames());
        nint Function(string function) => NativeLibrary.GetExport(library, function);
        _allreduce = (delegate* unmanaged<nint, void*, int, nint, nint, nint, int>)Function("MPI_Allreduce");
        _broadcast = (delegate* unmanaged<void*, int, nint, int, nint, int>)Function("MPI_Bcast");
        _finalize = (delegate* unmanaged<int>)Function("MPI_Finalize");
        _abort = (delegate* unmanaged<nint, int, int>)Function("MPI_Abort");
        if (NativeLibrary.TryGetExport(library, "ompi_mpi_comm_world", out _world))
        {
            (_float, _double, _byte) = (Function("ompi_mpi_float"), Function("ompi_mpi_double"), Function("ompi_mpi_byte"));
            (_sum, _inPlace) = (Function("ompi_mpi_op_sum"), 1);
        }
        else
        {
            (_world, _float, _double, _byte) = (0x44000000, 0x4c00040a, 0x4c00080b, 0x4c00010d);
            (_sum, _inPlace) = (0x58000003, -1);
        }

        int initialized, provided, rank, size;
        _ = ((delegate* unmanaged<int*, int>)Function("MPI_Initialized"))(&initialized);
        if (initialized == 0)
        {
            _ = ((delegate* unmanaged<void*, void*, int, int*, int>)Function("MPI_Init_thread"))(null, null, Serialized, &provided);
            AppDomain.CurrentDomain.ProcessExit += (_, _) => Leave();
        }
        _ = ((delegate* unmanaged<nint, int*, int>)Function("MPI_Comm_rank"))(_world, &rank);
        _ = ((delegate* unmanaged<nint, int*, int>)Function("MPI_Comm_size"))(_world, &size);
        (Rank, Size) = (rank, size);
        // Each process would train on its own and overwrite the files of the others.
        if (size == 1 && StartedProcesses() is > 1 and var started)
            throw new InvalidOperationException(
                $"{started} processes were started, but '{name}' knows one: it belongs to another MPI than the mpirun that started them. "
                + "Use the mpirun of this library, or put the folder of the other library first in LD_LIBRARY_PATH.");
    }

    /// <summary>All processes that mpirun started. The first call loads the library.</summary>
    /// <exception cref="InvalidOperationException">There is no MPI library, or it is not that of the mpirun.</exception>
    public static Mpi World => Joined.Value;

    /// <inheritdoc/>
    public override int Rank { get; }

    /// <inheritdoc/>
    public override int Size { get; }

    /// <inheritdoc/>
    public override int LocalRank =>
        Variable("OMPI_COMM_WORLD_LOCAL_RANK") ?? Variable("MPI_LOCALRANKID") ?? Variable("SLURM_LOCALID") ?? 0;

    // The default error handler of MPI ends all processes and says why, so the results of the calls need no check.

    /// <inheritdoc/>
    public override void Sum(Span<float> values)
    {
        fixed (float* first = values)
            _ = _allreduce(_inPlace, first, values.Length, _float, _sum, _world);
    }

    /// <inheritdoc/>
    public override void Sum(Span<double> values)
    {
        fixed (double* first = values)
            _ = _allreduce(_inPlace, first, values.Length, _double, _sum, _world);
    }

    /// <inheritdoc/>
    public override void Broadcast(Span<byte> bytes, int root)
    {
        fixed (byte* first = bytes)
            _ = _broadcast(first, bytes.Length, _byte, root, _world);
    }

    /// <summary>Loads the first library that exists.</summary>
    /// <exception cref="InvalidOperationException">None exists.</exception>
    internal static (nint Library, string Name) Load(IEnumerable<string> names)
    {
        foreach (var name in names)
            if (NativeLibrary.TryLoad(name, out var library))
                return (library, name);
        throw new InvalidOperationException(
            "Data-parallel training needs an MPI library, and none was found (libmpi.so.40 of Open MPI, libmpi.so.12 or libmpich.so.12 of "
            + "MPICH, msmpi.dll). Install Open MPI (package openmpi-bin on Debian and Ubuntu), MPICH or Microsoft MPI, or put the folder "
            + "of the library in LD_LIBRARY_PATH (on Windows: PATH).");
    }

    /// <summary>The library of the mpirun that started the process comes first, as far as its variables tell.</summary>
    private static IEnumerable<string> LibraryNames() =>
        Variable("PMI_SIZE") is not null && Variable("OMPI_COMM_WORLD_SIZE") is null
            ? [.. MpichNames, .. OpenMpiNames, "libmpi.so"]
            : [.. OpenMpiNames, .. MpichNames, "libmpi.so"];

    /// <summary>The number of processes that mpirun says it started; null without an mpirun.</summary>
    private static int? StartedProcesses() => Variable("OMPI_COMM_WORLD_SIZE") ?? Variable("PMI_SIZE");

    private static int? Variable(string name) => int.TryParse(Environment.GetEnvironmentVariable(name), out var value) ? value : null;

    /// <summary>
    /// At the end of the process. After an error the other processes wait for calls that this one will not make, so it ends them. If
    /// another thread is inside a call, or the exit code tells of an error, mpirun notices that the process ends without leaving, and ends
    /// the others. To leave would be to wait for them.
    /// </summary>
    private void Leave()
    {
        if (Current == Use.Broken)
            _ = _abort(_world, 1);
        else if (Current == Use.None && Environment.ExitCode == 0)
            _ = _finalize();
    }
}
