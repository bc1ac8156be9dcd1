using System.Runtime.InteropServices;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>
/// Asks Linux for pages of 2 MB for large memory that is written once from start to end. That takes one page fault instead of 512; on
/// virtual machines, page faults take longer than the writing.
/// </summary>
internal static partial class HugePages
{
    private const nint Size = 2 << 20;
    private const int MadvHugePage = 14;

    /// <summary>Requests huge pages for those that lie completely within the range, so no additional memory is used.</summary>
    /// <remarks>Has no effect on a kernel without huge pages or on other systems than Linux.</remarks>
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
            // Another C library: the memory keeps small pages.
        }
    }

    [LibraryImport("libc.so.6")]
    private static partial int madvise(nint start, nint length, int advice);
}
