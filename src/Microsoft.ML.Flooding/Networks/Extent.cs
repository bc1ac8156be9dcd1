namespace Microsoft.ML.Flooding.Networks;

/// <summary>The size of an axis after a sliding window.</summary>
internal static class Extent
{
    public static long Of(long size, long kernel, long stride, long padding) => ((size + (2 * padding) - kernel) / stride) + 1;
}
