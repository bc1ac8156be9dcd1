namespace Microsoft.ML.Flooding.Runtime;

/// <summary>
/// OpenMP runs the threads of libtorch. By default they spin while they wait for work, which takes processor time from other threads and
/// processes: with two more busy processes on two cores, a training took more than four times as long.
/// </summary>
internal static class OpenMp
{
    /// <summary>
    /// Lets idle threads sleep. Call it before libtorch is loaded, because OpenMP reads its variables only then. A setting of the
    /// application or of the user stays.
    /// </summary>
    public static void WaitPassively() => NativeEnvironment.SetDefault("OMP_WAIT_POLICY", "PASSIVE");
}
