using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>The best weights that the validation set has seen, for early stopping.</summary>
internal sealed class BestWeights(EarlyStopping stopping) : IDisposable
{
    private double _best = double.PositiveInfinity;
    private double _reference = double.PositiveInfinity;
    private int _lastImprovement;

    /// <summary>In the order of <see cref="WorkingWeights.All"/>; empty until the first epoch.</summary>
    public Tensor[] Values { get; private set; } = [];

    /// <summary>The epoch that they are of.</summary>
    public int Epoch { get; private set; }

    /// <summary>Whether they are the averaged ones of that epoch.</summary>
    public bool Averaged { get; private set; }

    /// <summary>What a checkpoint has to keep besides <see cref="Values"/>.</summary>
    public BestWeightsState State => new(_best, _reference, _lastImprovement, Epoch, Averaged);

    /// <summary>Looks at the weights after an epoch; the lower cost wins.</summary>
    public void Offer(int epoch, Evaluation raw, Evaluation? averaged, WorkingWeights weights, WeightAverage? average)
    {
        var rawFigure = stopping.Metric.CostOf(raw);
        var averagedFigure = averaged is { } a ? stopping.Metric.CostOf(a) : double.PositiveInfinity;
        var useAverage = averagedFigure <= rawFigure;
        var figure = Math.Min(rawFigure, averagedFigure);
        if (figure < _reference - stopping.MinimumChange || double.IsPositiveInfinity(_reference))
        {
            _reference = figure;
            _lastImprovement = epoch;
        }
        // Improvements too small to extend the patience still give the better model.
        if (figure < _best || Values.Length == 0)
        {
            _best = figure;
            Epoch = epoch;
            Averaged = useAverage;
            Dispose();
            Values = useAverage ? [.. average!.Values.Select(v => v.clone().DetachFromDisposeScope())] : weights.Snapshot();
        }
    }

    /// <summary>Whether the patience is spent.</summary>
    public bool Exhausted(int epoch) => epoch - _lastImprovement >= stopping.Patience;

    /// <summary>Takes up what a checkpoint kept; the values belong to this object from here on.</summary>
    public void Restore(BestWeightsState state, Tensor[] values)
    {
        (_best, _reference, _lastImprovement, Epoch, Averaged) = state;
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
internal readonly record struct BestWeightsState(double Best, double Reference, int LastImprovement, int Epoch, bool Averaged);
