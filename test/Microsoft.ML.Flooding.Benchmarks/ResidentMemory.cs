using System.Globalization;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>The resident memory of this process, in bytes, as Linux reports it.</summary>
internal static class ResidentMemory
{
    public static double Now() => Read("VmRSS:");

    /// <summary>Returns the peak since the last call of <see cref="ResetPeak"/>.</summary>
    public static double Peak() => Read("VmHWM:");

    public static void ResetPeak() => File.WriteAllText("/proc/self/clear_refs", "5");

    private static double Read(string key)
    {
        var line = File.ReadLines("/proc/self/status").First(l => l.StartsWith(key, StringComparison.Ordinal));
        return double.Parse(line[key.Length..].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture) * 1024;
    }
}
