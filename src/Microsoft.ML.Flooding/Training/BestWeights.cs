using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>The weights of the epoch with the best validation figure, and the patience of early stopping.</summary>
internal sealed class BestWeights(EarlyStopping stopping) : IDisposable
{
    private Choice _choice = Choice.None;
    private double _reference = double.PositiveInfinity;
    private int _lastImprovement;

    /// <summary>In the order of <see cref="WorkingWeights.All"/>; empty until the first epoch.</summary>
    public Tensor[] Values { get; private set; } = [];

    /// <summary>The epoch of these weights, from 1.</summary>
    public int Epoch { get; private set; }

    /// <summary>Whether they are the averaged weights of that epoch.</summary>
    public bool Averaged { get; private set; }

    /// <summary>What a checkpoint stores besides <see cref="Values"/>.</summary>
    public BestWeightsState State => new(_choice, _reference, _lastImprovement, Epoch, Averaged);

    /// <summary>Compares the weights after an epoch with the best so far. The lower cost wins.</summary>
    public void Offer(int epoch, Evaluation raw, Evaluation? averaged, WorkingWeights weights, WeightAverage? average)
    {
        var rawFigure = stopping.Metric.CostOf(raw);
        var averagedFigure = averaged is { } a ? stopping.Metric.CostOf(a) : Cost.Highest;
        var useAverage = averagedFigure <= rawFigure;
        var figure = useAverage ? averagedFigure : rawFigure;
        if (figure.Value < _reference - stopping.MinimumChange || double.IsPositiveInfinity(_reference))
        {
            _reference = figure.Value;
            _lastImprovement = epoch;
        }
        // An improvement that is too small to extend the patience still gives a better model.
        (_choice, var isChosen) = _choice.Offer(figure);
        if (isChosen || Values.Length == 0)
        {
            Epoch = epoch;
            Averaged = useAverage;
            Dispose();
            Values = useAverage ? [.. average!.Values.Select(v => v.clone().DetachFromDisposeScope())] : weights.Snapshot();
        }
    }

    /// <summary>Whether the last improvement is <see cref="EarlyStopping.Patience"/> epochs ago.</summary>
    public bool Exhausted(int epoch) => epoch - _lastImprovement >= stopping.Patience;

    /// <summary>Restores what a checkpoint stores. The values then belong to this object.</summary>
    public void Restore(BestWeightsState state, Tensor[] values)
    {
        (_choice, _reference, _lastImprovement, Epoch, Averaged) = state;
        Dispose();
        Values = values;
    }

    public void Dispose()
    {
        foreach (var value in Values)
            value.Dispose();
    }
}

/// <summary>The scalars of <see cref="BestWeights"/>.</summary>
internal readonly record struct BestWeightsState(Choice Choice, double Reference, int LastImprovement, int Epoch, bool Averaged);
