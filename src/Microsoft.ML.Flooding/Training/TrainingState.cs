using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>
/// Everything that a run carries from one epoch to the next: weights, their average, the optimizers' tensors, the best weights so far, and
/// the epochs trained. Everything random is a function of the seed and the epoch, so a run that restores a state continues with the same
/// bits.
/// </summary>
internal sealed class TrainingState : IDisposable
{
    private const string BestPrefix = "best.";

    private readonly TrainingPhases _phases;
    private List<EpochMetrics> _epochs = [];

    /// <param name="weights">The weights to train. The state disposes of them.</param>
    /// <param name="phases">The phases, whose optimizers belong to the state. They stay the caller's.</param>
    /// <param name="options">Valid options.</param>
    /// <param name="totalSteps">The steps of the whole run.</param>
    /// <param name="isValidated">Whether there is validation data.</param>
    public TrainingState(WorkingWeights weights, TrainingPhases phases, TrainingOptions options, long totalSteps, bool isValidated)
    {
        Weights = weights;
        _phases = phases;
        if (options.EffectiveAveraging is { Enabled: true } averaging)
            Average = new WeightAverage(weights, averaging, totalSteps);
        if (isValidated && options.EarlyStopping is { } stopping)
            Best = new BestWeights(stopping);
    }

    /// <summary>The weights that steps update.</summary>
    public WorkingWeights Weights { get; }

    /// <summary>The running average of the weights; null without averaging.</summary>
    public WeightAverage? Average { get; }

    /// <summary>The best weights so far; null without early stopping or validation data.</summary>
    public BestWeights? Best { get; }

    /// <summary>The epochs trained so far.</summary>
    public IReadOnlyList<EpochMetrics> Epochs => _epochs;

    /// <summary>The number of steps taken so far.</summary>
    public long Step { get; private set; }

    /// <summary>Counts a step and updates the average.</summary>
    /// <param name="changed">Indices in <see cref="WorkingWeights.All"/> of the values that the step can change; null: all of them.</param>
    public void CountStep(int[]? changed)
    {
        Average?.Update(Step, changed);
        Step++;
    }

    /// <summary>Adds an epoch.</summary>
    public void CountEpoch(EpochMetrics epoch) => _epochs.Add(epoch);

    /// <summary>The current values. The tensors are the run's own: they change with the next step.</summary>
    public TrainingSnapshot View()
    {
        var weights = Weights.Masters.Select((t, i) => ($"weights.{Weights.Names[i]}", t));
        var buffers = Weights.Network.named_buffers().Select(b => ($"buffers.{b.name}", b.buffer));
        var average = (Average?.Values ?? []).Select((t, i) => ($"average.{i}", t));
        var best = (Best?.Values ?? []).Select((t, i) => ($"{BestPrefix}{i}", t));
        return new TrainingSnapshot(
            new TrainingProgress(Step, [.. _epochs], Best?.State),
            [.. weights, .. buffers, .. average, .. _phases.OptimizerTensors, .. best]);
    }

    /// <summary>A copy of the current values, on the run's device. It belongs to the caller.</summary>
    public TrainingSnapshot Capture()
    {
        using var _ = no_grad();
        var view = View();
        return view with { Tensors = [.. view.Tensors.Select(t => (t.Name, t.Value.detach().clone().DetachFromDisposeScope()))] };
    }

    /// <summary>Returns to <paramref name="snapshot"/>, which stays the caller's.</summary>
    public void Restore(TrainingSnapshot snapshot)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var saved = snapshot.Tensors.ToDictionary(t => t.Name, t => t.Value);
        foreach (var (name, value) in View().Tensors.Where(t => !IsBest(t.Name)))
            value.copy_(saved[name]);
        Weights.Publish();
        Step = snapshot.Progress.Step;
        _epochs = [.. snapshot.Progress.Epochs];
        if (Best is not null && snapshot.Progress.Best is { } best)
        {
            var count = saved.Keys.Count(IsBest);
            Best.Restore(
                best,
                [.. Weights.All.Take(count).Select((t, i) => saved[BestPrefix + i].to(t.device, copy: true).DetachFromDisposeScope())]);
        }
    }

    public void Dispose()
    {
        Average?.Dispose();
        Best?.Dispose();
        Weights.Dispose();
    }

    private static bool IsBest(string name) => name.StartsWith(BestPrefix, StringComparison.Ordinal);
}

/// <summary>The values of a <see cref="TrainingState"/> at one moment: what a checkpoint holds and where a run branches off.</summary>
/// <param name="Progress">The scalars.</param>
/// <param name="Tensors">Weights, buffers, average, optimizer tensors and best weights, by name.</param>
internal sealed record TrainingSnapshot(TrainingProgress Progress, IReadOnlyList<(string Name, Tensor Value)> Tensors) : IDisposable
{
    public void Dispose()
    {
        foreach (var (_, value) in Tensors)
            value.Dispose();
    }
}

/// <summary>The scalars of a <see cref="TrainingSnapshot"/>, in the form that checkpoints store.</summary>
internal sealed record TrainingProgress(long Step, IReadOnlyList<EpochMetrics> Epochs, BestWeightsState? Best);
