namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>The machine that a table was measured on.</summary>
internal static class Machine
{
    /// <summary>Its cores and processor, and the date.</summary>
    public static string Description { get; } = $"{Environment.ProcessorCount} cores, {Processor()}, {DateTime.UtcNow:yyyy-MM-dd}";

    /// <summary>The name of the processor, as Linux reports it.</summary>
    private static string Processor() => File.Exists("/proc/cpuinfo")
        ? File.ReadLines("/proc/cpuinfo").First(line => line.StartsWith("model name", StringComparison.Ordinal)).Split(':')[1].Trim()
        : "unknown processor";
}
