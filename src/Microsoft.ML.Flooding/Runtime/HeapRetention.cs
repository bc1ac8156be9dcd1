using System.Runtime.InteropServices;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>
/// Keeps the memory that libtorch frees with the process until the retention ends. libtorch takes the results of every layer from malloc; by
/// default glibc maps each block above 32 MB anew and gives the top of its heap back, so that in every step the kernel has to clear gigabytes page
/// by page: more than half the time of a ResNet-18. PyTorch's tuning guide advises another allocator for the same reason.
/// </summary>
/// <remarks>
/// The settings are the process's, and glibc does not tell what they were. So an application that tunes malloc itself by environment
/// variables is left alone, and one that calls mallopt turns this off by the <see cref="AppContext"/> switch <see cref="SwitchName"/>.
/// Elsewhere than on Linux with glibc nothing happens.
/// </remarks>
internal sealed partial class HeapRetention : IDisposable
{
    /// <summary>Set to false, it turns retention off. Default: true.</summary>
    public const string SwitchName = "Microsoft.ML.Flooding.HeapRetention";

    private const int Success = 1;

    // The largest that glibc allows.
    private const int LargestMmapThreshold = 32 << 20;

    // Where glibc's own adaptation ends up.
    private static readonly (Option, int)[] Default =
    [
        (Option.MmapMax, 65536), (Option.MmapThreshold, LargestMmapThreshold), (Option.TrimThreshold, 2 * LargestMmapThreshold), (Option.TopPad, 128 << 10),
    ];

    // What batches of scoring need to find their memory again. A heap of a thread is deleted when less than the pad would be left of it.
    private static readonly (Option, int)[] Some =
    [
        (Option.MmapMax, 0), (Option.TrimThreshold, 8 * LargestMmapThreshold), (Option.TopPad, 2 * LargestMmapThreshold),
    ];

    private static readonly (Option, int)[] All = [.. Some, (Option.TrimThreshold, -1)];

    private static readonly Lock Gate = new();
    private static int _scoring;
    private static int _training;

    private readonly bool _isForTraining;
    private bool _ended;

    private HeapRetention(bool isForTraining)
    {
        _isForTraining = isForTraining;
        _ended = !IsWanted(Environment.GetEnvironmentVariable);
        if (!_ended)
            Count(1);
    }

    private enum Option
    {
        TrimThreshold = -1,
        TopPad = -2,
        MmapThreshold = -3,
        MmapMax = -4,
    }

    /// <summary>How many retentions there are.</summary>
    public static int Holders
    {
        get
        {
            lock (Gate)
                return _scoring + _training;
        }
    }

    /// <summary>Begins to keep all memory that is freed.</summary>
    public static HeapRetention ForTraining() => new(isForTraining: true);

    /// <summary>Begins to keep up to 256 MB of free memory, so that a batch finds what the one before it gave back.</summary>
    public static HeapRetention ForScoring() => new(isForTraining: false);

    /// <summary>Whether the application leaves malloc to this class.</summary>
    /// <param name="variable">The value of an environment variable; null where it is not set.</param>
    public static bool IsWanted(Func<string, string?> variable)
    {
        if (AppContext.TryGetSwitch(SwitchName, out var isOn) && !isOn)
            return false;
        var tunables = variable("GLIBC_TUNABLES") ?? "";
        string[] names = ["mmap_max", "mmap_threshold", "trim_threshold", "top_pad"];
        return !names.Any(name => tunables.Contains($"glibc.malloc.{name}=", StringComparison.Ordinal)
            || !string.IsNullOrEmpty(variable($"MALLOC_{name.ToUpperInvariant()}_")));
    }

    /// <summary>Ends the retention; what no other one keeps is given back.</summary>
    public void Dispose()
    {
        End();
        GC.SuppressFinalize(this);
    }

    // Models are often not disposed of.
    ~HeapRetention() => End();

    private void End()
    {
        lock (Gate)
        {
            if (_ended)
                return;
            _ended = true;
            Count(-1);
        }
    }

    private void Count(int change)
    {
        lock (Gate)
        {
            var before = InEffect();
            if (_isForTraining)
                _training += change;
            else
                _scoring += change;
            if (InEffect() != before && Set(InEffect()) && change < 0)
                _ = malloc_trim(0);
        }

        static (Option, int)[] InEffect() => _training > 0 ? All : _scoring > 0 ? Some : Default;
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
