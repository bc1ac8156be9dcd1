namespace Microsoft.ML.Flooding.Networks;

/// <summary>The maximum or the mean of a window that slides over height and width.</summary>
/// <param name="Aggregation">A mean counts the zeros of the padding; a maximum sees no padding.</param>
/// <param name="Kernel">Height and width.</param>
/// <param name="Stride">Height and width.</param>
/// <param name="Padding">At both ends of height and width.</param>
/// <param name="Dilation">Height and width; 1 for a mean.</param>
internal sealed record Pooling(Aggregation Aggregation, long[] Kernel, long[] Stride, long[] Padding, long[] Dilation)
{
    public static Pooling Max(long kernel, long stride, long padding) =>
        new(Aggregation.Maximum, [kernel, kernel], [stride, stride], [padding, padding], [1, 1]);
}
