using System.Runtime.InteropServices;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>
/// Environment variables that native libraries read when they are loaded. On Linux and macOS, .NET keeps a copy of the environment, which
/// they do not see.
/// </summary>
internal static partial class NativeEnvironment
{
    /// <summary>Sets a variable that neither the user nor the application has set.</summary>
    public static void SetDefault(string name, string value)
    {
        if (OperatingSystem.IsWindows())
        {
            if (Environment.GetEnvironmentVariable(name) is null)
                Environment.SetEnvironmentVariable(name, value);
            return;
        }
        try
        {
            // The application may have changed the copy.
            _ = setenv(name, Environment.GetEnvironmentVariable(name) ?? value, overwrite: 0);
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            // Another C library: the default of the native library applies.
        }
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int setenv(string name, string value, int overwrite);
}
