namespace Microsoft.ML.Flooding.Training;

/// <summary>What validation compares: the lower cost is better.</summary>
/// <param name="Value">The value of the metric, negated if higher is better.</param>
/// <param name="Loss">The mean cross-entropy, which decides between equal values: few images give few different accuracies.</param>
internal readonly record struct Cost(double Value, double Loss) : IComparable<Cost>
{
    /// <summary>Worse than anything.</summary>
    public static Cost Highest { get; } = new(double.PositiveInfinity, double.PositiveInfinity);

    public static bool operator <(Cost left, Cost right) => left.CompareTo(right) < 0;

    public static bool operator >(Cost left, Cost right) => left.CompareTo(right) > 0;

    public static bool operator <=(Cost left, Cost right) => left.CompareTo(right) <= 0;

    public static bool operator >=(Cost left, Cost right) => left.CompareTo(right) >= 0;

    public int CompareTo(Cost other) => (Value, Loss).CompareTo((other.Value, other.Loss));
}
