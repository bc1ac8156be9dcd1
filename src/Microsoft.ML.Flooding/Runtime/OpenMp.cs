using System.Runtime.InteropServices;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>
/// OpenMP runs the threads of libtorch. By default they spin while they wait for work, which takes processor time from other threads and
/// processes: with two more busy processes on two cores, a training took more than four times as long.
/// </summary>
internal static partial class OpenMp
{
    private const string WaitPolicy = "OMP_WAIT_POLICY";
    private const string Passive = "PASSIVE";

    /// <summary>
    /// Lets idle threads sleep. Call it before libtorch is loaded, because OpenMP reads its variables only then. A setting of the
    /// application or of the user stays.
    /// </summary>
    public static void WaitPassively()
    {
        if (OperatingSystem.IsWindows())
        {
            if (Environment.GetEnvironmentVariable(WaitPolicy) is null)
                Environment.SetEnvironmentVariable(WaitPolicy, Passive);
            return;
        }
        try
        {
            // .NET keeps a copy of the environment, which native libraries do not see. The application may have changed the copy.
            _ = setenv(WaitPolicy, Environment.GetEnvironmentVariable(WaitPolicy) ?? Passive, overwrite: 0);
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            // Another C library: the threads spin.
        }
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int setenv(string name, string value, int overwrite);
}
