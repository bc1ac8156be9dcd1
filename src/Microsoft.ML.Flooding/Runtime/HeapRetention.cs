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

    // The largest that glibc allows, where its own adaptation ends up as well.
    private const int LargestMmapThreshold = 32 << 20;

    private static readonly Lock Gate = new();
    private static int _holders;
    private bool _ended;

    private enum Option
    {
        TrimThreshold = -1,
        TopPad = -2,
        MmapThreshold = -3,
        MmapMax = -4,
    }

    /// <summary>Begins a retention; it ends with the last one of the process.</summary>
    public static HeapRetention Begin()
    {
        lock (Gate)
        {
            if (_holders++ == 0)
            {
                // A heap of its threads is deleted when less than the pad would be left.
                Set((Option.MmapMax, 0), (Option.TrimThreshold, -1), (Option.TopPad, 2 * LargestMmapThreshold));
            }
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
            if (Set((Option.MmapMax, 65536), (Option.MmapThreshold, LargestMmapThreshold), (Option.TrimThreshold, 2 * LargestMmapThreshold), (Option.TopPad, 128 << 10)))
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
