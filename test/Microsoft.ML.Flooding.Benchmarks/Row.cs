namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>One line of the table: a figure and the bound that it has to keep.</summary>
/// <param name="Name">What `bench NAME` selects.</param>
/// <param name="Workload">What is measured.</param>
/// <param name="Bound">The bound of the figure.</param>
/// <param name="IsFloor">Whether the figure must be at least the bound; else at most.</param>
/// <param name="Measure">Measures.</param>
internal sealed record Row(string Name, string Workload, double Bound, bool IsFloor, Func<Figure> Measure)
{
    public bool IsMet(Figure figure) => IsFloor ? figure.Value >= Bound : figure.Value <= Bound;
}

/// <summary>What a row measured.</summary>
/// <param name="Value">The figure that is held against the bound.</param>
/// <param name="Ours">Our own figure, as shown.</param>
/// <param name="Baseline">The figure that it is held against, as shown.</param>
/// <param name="LibTorch">What the bare libtorch calls reach, as shown; empty where that says nothing.</param>
internal readonly record struct Figure(double Value, string Ours, string Baseline, string LibTorch = "");
