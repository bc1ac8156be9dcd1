using System.Runtime.InteropServices;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>
/// While it exists, the process keeps the memory that libtorch frees. libtorch allocates the results of each layer with malloc. By default,
/// glibc maps each block above 32 MB separately and returns the top of its heap to the system, so the kernel clears gigabytes, page by
/// page, in every step. For a ResNet-18 that is more than half of the time. PyTorch's tuning guide recommends another allocator for the
/// same reason.
/// </summary>
/// <remarks>
/// The settings apply to the whole process, and glibc does not report their previous values. If environment variables tune malloc, this
/// class does nothing. An application that calls mallopt itself sets the <see cref="AppContext"/> switch <see cref="SwitchName"/> to false.
/// The class has an effect only on Linux with glibc.
/// </remarks>
internal sealed partial class HeapRetention : IDisposable
{
    /// <summary>The switch that turns retention off if set to false. Default: true.</summary>
    public const string SwitchName = "Microsoft.ML.Flooding.HeapRetention";

    private const int Success = 1;

    // The largest value that glibc allows.
    private const int LargestMmapThreshold = 32 << 20;

    // The values that glibc's dynamic adjustment reaches.
    private static readonly (Option, int)[] Default =
    [
        (Option.MmapMax, 65536), (Option.MmapThreshold, LargestMmapThreshold), (Option.TrimThreshold, 2 * LargestMmapThreshold),
        (Option.TopPad, 128 << 10),
    ];

    // Enough for each batch of scoring to reuse the memory of the one before. glibc deletes a thread's heap if less than the pad would
    // remain.
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

    /// <summary>The number of retentions in effect.</summary>
    public static int Holders
    {
        get
        {
            lock (Gate)
                return _scoring + _training;
        }
    }

    /// <summary>Starts to keep all freed memory.</summary>
    public static HeapRetention ForTraining() => new(isForTraining: true);

    /// <summary>Starts to keep up to 256 MB of freed memory, so each batch reuses the memory of the one before.</summary>
    public static HeapRetention ForScoring() => new(isForTraining: false);

    /// <summary>Whether the application leaves the tuning of malloc to this class.</summary>
    /// <param name="variable">Returns the value of an environment variable, or null if it is not set.</param>
    public static bool IsWanted(Func<string, string?> variable)
    {
        if (AppContext.TryGetSwitch(SwitchName, out var isOn) && !isOn)
            return false;
        var tunables = variable("GLIBC_TUNABLES") ?? "";
        string[] names = ["mmap_max", "mmap_threshold", "trim_threshold", "top_pad"];
        return !names.Any(name => tunables.Contains($"glibc.malloc.{name}=", StringComparison.Ordinal)
            || !string.IsNullOrEmpty(variable($"MALLOC_{name.ToUpperInvariant()}_")));
    }

    /// <summary>Ends the retention. Memory that no other retention keeps is returned to the system.</summary>
    public void Dispose()
    {
        End();
        GC.SuppressFinalize(this);
    }

    // Models are often not disposed.
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
