namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>A row of the table: a figure and its bound.</summary>
/// <param name="Name">The name that `bench NAME` selects.</param>
/// <param name="Workload">What is measured.</param>
/// <param name="Bound">The bound of the figure.</param>
/// <param name="IsFloor">True: the figure must be at least the bound. False: it must be at most the bound.</param>
/// <param name="Measure">Measures the figure.</param>
/// <param name="NeedsBFloat16">True: the row is measured only on processors that multiply bfloat16 natively.</param>
internal sealed record Row(
    string Name, string Workload, double Bound, bool IsFloor, Func<Figure> Measure, bool NeedsBFloat16 = false)
{
    public bool IsMet(Figure figure) => IsFloor ? figure.Value >= Bound : figure.Value <= Bound;
}

/// <summary>The result of a row.</summary>
/// <param name="Value">The figure to compare with the bound.</param>
/// <param name="Ours">The library's figure, as shown.</param>
/// <param name="Baseline">The figure of the baseline, as shown.</param>
/// <param name="LibTorch">The figure of the bare libtorch calls, as shown. Empty if it is not meaningful.</param>
internal readonly record struct Figure(double Value, string Ours, string Baseline, string LibTorch = "");
