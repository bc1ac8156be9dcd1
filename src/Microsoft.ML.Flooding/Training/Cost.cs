namespace Microsoft.ML.Flooding.Training;

/// <summary>What validation compares: the lower cost is better.</summary>
/// <param name="Value">The value of the metric, negated if higher is better.</param>
/// <param name="Loss">The mean cross-entropy, which decides between values that count as equal.</param>
/// <param name="Tolerance">How much higher another value may be and still count as equal to this one.</param>
internal readonly record struct Cost(double Value, double Loss, double Tolerance = 0) : IComparable<Cost>
{
    /// <summary>Worse than anything.</summary>
    public static Cost Highest { get; } = new(double.PositiveInfinity, double.PositiveInfinity);

    public static bool operator <(Cost left, Cost right) => left.CompareTo(right) < 0;

    public static bool operator >(Cost left, Cost right) => left.CompareTo(right) > 0;

    public static bool operator <=(Cost left, Cost right) => left.CompareTo(right) <= 0;

    public static bool operator >=(Cost left, Cost right) => left.CompareTo(right) >= 0;

    public int CompareTo(Cost other) => (Value, Loss).CompareTo((other.Value, other.Loss));
}

/// <summary>Chooses one of several costs that are offered one after another.</summary>
/// <param name="Best">The best value so far.</param>
/// <param name="Chosen">The cost with the lowest loss among those whose value counts as equal to the best.</param>
internal readonly record struct Choice(Cost Best, Cost Chosen)
{
    /// <summary>Before anything is offered.</summary>
    public static Choice None { get; } = new(Cost.Highest, Cost.Highest);

    /// <summary>The choice after another cost, and whether it is that one.</summary>
    public (Choice Next, bool IsChosen) Offer(Cost cost)
    {
        var best = cost < Best ? cost : Best;
        var limit = best.Value + best.Tolerance;
        var isChosen = cost.Value <= limit && (!(Chosen.Value <= limit) || cost.Loss < Chosen.Loss);
        return (new Choice(best, isChosen ? cost : Chosen), isChosen);
    }
}
