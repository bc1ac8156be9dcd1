using System.Runtime.InteropServices;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>
/// Keeps the memory that libtorch frees with the process until the retention ends. libtorch takes the results of every layer from malloc; by
/// default glibc maps each block above 32 MB anew and gives the top of its heap back, so that in every step the kernel has to clear gigabytes page
/// by page: more than half the time of a ResNet-18. PyTorch's tuning guide advises another allocator for the same reason.
/// </summary>
/// <remarks>The settings are the process's. Elsewhere than on Linux with glibc nothing happens.</remarks>
internal sealed partial class HeapRetention : IDisposable
{
    private const int Success = 1;

    // The largest that glibc allows.
    private const int LargestMmapThreshold = 32 << 20;

    // Where glibc's own adaptation ends up.
    private static readonly (Option, int)[] Default =
    [
        (Option.MmapMax, 65536), (Option.MmapThreshold, LargestMmapThreshold), (Option.TrimThreshold, 2 * LargestMmapThreshold), (Option.TopPad, 128 << 10),
    ];

    // What batches of scoring need to find their memory again. A heap of a thread is deleted when less than the pad would be left of it.
    private static readonly (Option, int)[] ForScoring =
    [
        (Option.MmapMax, 0), (Option.TrimThreshold, 8 * LargestMmapThreshold), (Option.TopPad, 2 * LargestMmapThreshold),
    ];

    private static readonly Lock Gate = new();
    private static (Option, int)[] _outside = Default;
    private static int _holders;
    private bool _ended;

    private enum Option
    {
        TrimThreshold = -1,
        TopPad = -2,
        MmapThreshold = -3,
        MmapMax = -4,
    }

    /// <summary>From here on the process may keep 256 MB of free memory, so that a batch finds what the one before it gave back.</summary>
    public static void KeepSome()
    {
        lock (Gate)
        {
            if (_outside == ForScoring)
                return;
            _outside = ForScoring;
            if (_holders == 0)
                Set(ForScoring);
        }
    }

    /// <summary>Begins a retention; it ends with the last one of the process.</summary>
    public static HeapRetention Begin()
    {
        lock (Gate)
        {
            if (_holders++ == 0)
                Set([.. ForScoring, (Option.TrimThreshold, -1)]);
        }
        return new HeapRetention();
    }

    /// <summary>Ends the retention, and gives back what is free.</summary>
    public void Dispose()
    {
        lock (Gate)
        {
            if (_ended)
                return;
            _ended = true;
            if (--_holders > 0)
                return;
            if (Set(_outside))
                _ = malloc_trim(0);
        }
    }

    private static bool Set(params ReadOnlySpan<(Option Option, int Value)> settings)
    {
        if (!OperatingSystem.IsLinux())
            return false;
        try
        {
            foreach (var (option, value) in settings)
                if (mallopt((int)option, value) != Success)
                    return false;
            return true;
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            return false;
        }
    }

    [LibraryImport("libc.so.6")]
    private static partial int mallopt(int option, int value);

    [LibraryImport("libc.so.6")]
    private static partial int malloc_trim(nuint pad);
}
