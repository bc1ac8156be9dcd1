using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Search;

/// <summary>
/// Trains all layers of a pretrained network whose head is trained already. The steps are small, and smaller for early layers, so that the
/// network keeps what it knows. Validation data chooses between the best epoch and the network as it was.
/// </summary>
/// <param name="runs">The factory of the runs of the whole network. There is validation data.</param>
/// <param name="options">Valid options. Those that the plan does not set stay.</param>
/// <param name="wrongLabels">The share of wrong labels that <see cref="HeadSearch"/> has estimated.</param>
internal sealed class AllLayers(RunFactory runs, TrainingOptions options, double wrongLabels)
{
    /// <summary>The number of epochs.</summary>
    public const int Epochs = 8;

    // A forward and a backward pass, in forward passes.
    private const double StepCost = 3;

    private readonly ValidationMetric _metric = LabelLogLoss.Of(wrongLabels, runs.Classes, weights: null);

    /// <summary>About how long the training takes.</summary>
    /// <param name="features">How long all layers took to compute the features of all images.</param>
    public static TimeSpan Estimate(TimeSpan features) => features * Epochs * StepCost;

    /// <summary>Trains, and gives the network the weights of the best epoch if they are better than its own.</summary>
    /// <param name="network">The network, on the CPU.</param>
    /// <param name="watch">Called after each epoch.</param>
    /// <param name="log">Called with the comparison.</param>
    /// <returns>The history of the run; null if the network keeps its weights.</returns>
    public TrainingHistory? Train(Network network, Action<EpochMetrics> watch, Action<string> log)
    {
        var before = Measure(network);
        var continued = runs with
        {
            InitialWeights = copy => copy.LoadState(network.State().ToDictionary(s => s.Name, s => s.Tensor)),
        };
        using var prepared = continued.Create(Plan());
        prepared.Run.Train(watch, prepared.Checkpoints);
        if (prepared.Run.Divergence is { } divergence)
        {
            log($"{divergence.Message} The last layer alone stays trained.");
            return null;
        }
        var history = prepared.Run.SelectWeights();
        var isBetter = history.ValidationMetric < before;
        log(FormattableString.Invariant(
            $"Validation log-loss {before:0.0000} with the last layer trained, {history.ValidationMetric:0.0000} with all layers trained: ")
            + (isBetter ? $"all layers stay trained, as in epoch {history.SelectedEpoch}." : "the last layer alone stays trained."));
        if (!isBetter)
            return null;
        network.LoadState(prepared.Run.State());
        return history with { Settings = prepared.Identity };
    }

    private double Measure(Network network)
    {
        using var scope = NewDisposeScope();
        using var normalizer = runs.Normalization.On(runs.Device);
        network.to(runs.Device);
        var (logits, labels) = Inference.ComputeLogits(
            network, ScalarType.Float32, runs.Data.Validation!, runs.Data.ValidationRows!, normalizer, runs.Device, runs.CheckAlive);
        network.to(CPU);
        return _metric.Compute(logits.softmax(1).to(CPU), labels.to(CPU));
    }

    private TrainingOptions Plan() => options.With(o =>
    {
        o.Epochs = Epochs;
        o.BatchSize = Math.Min(o.BatchSize, 16);
        o.LearningRate = o.Optimizer == Optimizer.Sgd ? 0.002 : 0.0001;
        o.Schedule = LearningRateSchedule.Cosine;
        o.LayerDecay = 0.8;
        // The statistics of 16 images are worse than those of the pretraining.
        o.FreezeBatchNorm = true;
        o.Augmentation = new Augmentation { FlipProbability = 0.5 };
        o.EarlyStopping = new EarlyStopping { Metric = _metric, Patience = Epochs };
        if (wrongLabels > 0)
            o.Objective = FloodingObjective.NoisyLabels(wrongLabels);
        o.CheckpointDirectory = o.CheckpointDirectory is { } folder ? Path.Combine(folder, "all-layers") : null;
    });
}
