using System.Runtime.InteropServices;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>
/// Asks Linux for pages of 2 MB where large memory is written once from end to end: one page fault in place of 512, which on virtual machines cost
/// more than the writing.
/// </summary>
internal static partial class HugePages
{
    private const nint Size = 2 << 20;
    private const int MadvHugePage = 14;

    /// <summary>Advises on the whole huge pages inside of the range, so that no more memory is taken than was asked for.</summary>
    /// <remarks>A kernel without them leaves all as it is, as do other systems than Linux.</remarks>
    public static void Advise(nint start, nint length)
    {
        if (!OperatingSystem.IsLinux())
            return;
        var first = (start + Size - 1) / Size * Size;
        var end = (start + length) / Size * Size;
        if (end <= first)
            return;
        try
        {
            _ = madvise(first, end - first, MadvHugePage);
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            // Another C library: small pages do as well.
        }
    }

    [LibraryImport("libc.so.6")]
    private static partial int madvise(nint start, nint length, int advice);
}
