namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// Bounds the memory of the images that are being decoded at once: an image at the default pixel limit takes 400 MB, and every core
/// decodes one. What does not fit waits for the others; an image larger than the bound is decoded alone.
/// </summary>
internal sealed class DecodingMemory(long bytes)
{
    // Below it, as many images as there are cores are no burden, and a lock would cost more than it saves.
    private const long Small = 1 << 20;

    private readonly object _gate = new();
    private long _taken;

    /// <summary>Of the process: an eighth of the memory there is, but at least 512 MiB.</summary>
    public static DecodingMemory Shared { get; } = new(Math.Max(512L << 20, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 8));

    /// <summary>Waits until an image fits.</summary>
    public void Take(long length)
    {
        if (length <= Small)
            return;
        lock (_gate)
        {
            while (_taken > 0 && _taken + length > bytes)
                Monitor.Wait(_gate);
            _taken += length;
        }
    }

    /// <summary>Gives back what <see cref="Take"/> took.</summary>
    public void Release(long length)
    {
        if (length <= Small)
            return;
        lock (_gate)
        {
            _taken -= length;
            Monitor.PulseAll(_gate);
        }
    }
}
