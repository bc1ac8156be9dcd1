using System.Runtime.InteropServices;

/// <summary>The environment that native libraries see.</summary>
internal static partial class Native
{
    /// <summary>A variable of the process, as native libraries see it.</summary>
    public static string? Variable(string name) => Marshal.PtrToStringUTF8(getenv(name));

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint getenv(string name);
}
