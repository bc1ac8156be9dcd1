using System.Diagnostics;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Search;

/// <summary>
/// Trains the head of a pretrained network. The other layers stay frozen, so an image's features are computed once and the head is a linear
/// classifier of them. The right learning rate and number of epochs differ by powers of ten between data sets, and some labels may be
/// wrong; cross-validation finds the rate, the epochs and the share of wrong labels in seconds.
/// </summary>
/// <remarks>
/// The features are centered, divided by their common scale, and classified from zero weights. The result is folded into the head. Training
/// then begins with the differences between the classes' means, which wrong labels hardly change, and the same rates suit all networks.
/// </remarks>
internal sealed class HeadSearch : IDisposable
{
    private const int Folds = 5;
    private const int MostEpochs = 50;

    // The middle one first: a search that is stopped has a rate that suits most sets.
    private static readonly double[] SgdRates = [0.01, 0.001, 0.1];
    private static readonly double[] AdamRates = [0.001, 0.0001, 0.01];

    private static readonly double[] WrongShares = [0, 0.1, 0.2, 0.4];

    private readonly RunFactory _runs;
    private readonly TrainingOptions _options;
    private readonly CachedFeatures _features;

    /// <summary>Computes the features of all images.</summary>
    /// <param name="runs">The factory of the runs of the whole network.</param>
    /// <param name="options">Valid options. Those that are set stay; the search chooses the epochs and, if it is not set, the rate.</param>
    public HeadSearch(RunFactory runs, TrainingOptions options)
    {
        using var scope = NewDisposeScope();
        var start = Stopwatch.GetTimestamp();
        using var network = runs.CreateNetwork();
        using var weights = new WorkingWeights(network, runs.Device, runs.Precision);
        using var normalizer = runs.Normalization.On(runs.Device);
        _features = CachedFeatures.Compute(
            runs.Data, new HeadOnly(weights, network, normalizer, takesFeatures: true), runs.Device, () =>
            {
                runs.CheckAlive();
                options.StopToken.ThrowIfCancellationRequested();
            });
        FeatureTime = Stopwatch.GetElapsedTime(start);
        _options = options;
        _runs = runs with
        {
            Architecture = Architecture.Mlp.WithHiddenSizes(),
            Data = _features.Data,
            Normalization = Measure(_features.Data, centers: network.Head.bias is not null),
            Precision = ScalarType.Float32,
            InitialWeights = StartAt(_features.Data.TrainingRows),
        };
    }

    /// <summary>How long it took to compute the features of all images.</summary>
    public TimeSpan FeatureTime { get; }

    /// <summary>
    /// Cross-validates settings after each epoch and chooses the one with the lowest log-loss: first shares of wrong labels in ascending
    /// order, as long as the log-loss falls, then the other learning rates with the best share.
    /// </summary>
    /// <param name="tried">Called with the best result of each share and rate.</param>
    /// <returns>The choice. If the search is stopped, the best of the settings tried so far; null if none was.</returns>
    public HeadTrial? Choose(Action<HeadTrial> tried)
    {
        using var scope = NewDisposeScope();
        using var generator = RandomStreams.Create(_runs.Seed, RandomStreams.Purpose.HeadFolds, 0);
        var parts = new StratifiedSplit(_runs.Data.Training, _runs.Data.TrainingRows, generator).Fold(Folds);
        if (parts.Length < 2)
            return null;
        HeadTrial? best = null;
        double[] rates = _options.LearningRate is { } rate ? [rate] : _options.Optimizer == Optimizer.Sgd ? SgdRates : AdamRates;
        foreach (var share in WrongShares.Where(CanBeWrong))
        {
            if (!Try(rates[0], share))
                break;
        }
        foreach (var other in rates.Skip(1))
            Try(other, best?.WrongLabels ?? 0);
        return best;

        bool Try(double candidate, double share)
        {
            if (_options.StopToken.IsCancellationRequested || CrossValidate(candidate, share, parts) is not { } trial)
                return false;
            // A run that was stopped has not been cross-validated to its end.
            if (_options.StopToken.IsCancellationRequested)
                return false;
            tried(trial);
            var isBetter = best is null || trial.LogLoss < best.LogLoss;
            if (isBetter)
                best = trial;
            return isBetter;
        }
    }

    /// <summary>Trains the head on all training rows and writes it into a network.</summary>
    /// <param name="trial">The setting; null: the one that suits most sets.</param>
    /// <param name="network">The whole network, on the CPU.</param>
    /// <param name="watch">From the number of epochs to what is called after each of them.</param>
    public TrainingHistory Train(HeadTrial? trial, Network network, Func<int, Action<EpochMetrics>> watch)
    {
        // A search that was stopped still ends with a trained head: it takes a moment.
        var stopped = _options.StopToken.IsCancellationRequested;
        var options = OptionsOf(trial).With(o => o.StopToken = stopped ? CancellationToken.None : o.StopToken);
        using var prepared = _runs.Create(options);
        var history = prepared.Run.Fit(watch(options.EffectiveEpochs), prepared.Checkpoints);
        using (var _ = no_grad())
        using (NewDisposeScope())
            Fold(prepared.Network.to(CPU), network);
        return history with
        {
            FloodLevel = _options.FloodLevel,
            Settings = prepared.Identity,
            HeadTrial = trial,
            Stopped = stopped || history.Stopped,
        };
    }

    /// <summary>The number of epochs of a setting.</summary>
    /// <param name="trial">The setting; null: the one that suits most sets.</param>
    public static int EpochsOf(HeadTrial? trial) => trial?.Epochs ?? MostEpochs / 2;

    /// <summary>Predicts images by heads that were not trained on them.</summary>
    /// <param name="trial">The setting; null: the one that suits most sets.</param>
    /// <param name="watch">As for <see cref="HeldOutPredictions"/>.</param>
    /// <param name="log">As for <see cref="HeldOutPredictions"/>.</param>
    public HeldOutPredictions HeldOut(HeadTrial? trial, Func<string, Action<EpochMetrics>> watch, Action<string> log) =>
        new(_runs, OptionsOf(trial), watch, log);

    public void Dispose() => _features.Dispose();

    /// <summary>
    /// The classifier starts with the logarithms of the shares of the classes, shrunk toward their mean: to it if they differ by no more
    /// than two standard errors. With few images or wrong labels, differences by chance would outweigh what the first epochs learn.
    /// </summary>
    private Action<Network> StartAt(Tensor rows) => head =>
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var labels = _features.Data.Training.Labels.index_select(0, rows);
        var weights = _features.Data.Weights?.index_select(0, rows);
        var counts = bincount(labels, weights, minlength: _runs.Classes).to(ScalarType.Float32).add(1);
        var logarithms = counts.log();
        var differences = logarithms - logarithms.mean();
        var chance = 4 * counts.reciprocal().sum() / differences.square().sum().clamp_min(float.Epsilon);
        head.Head.weight!.zero_();
        head.Head.bias!.copy_(differences * (1 - chance).clamp_min(0));
    };

    private static Normalization Measure(TrainingData data, bool centers)
    {
        using var scope = NewDisposeScope();
        var (mean, deviation) = data.Training.ChannelStatistics(data.TrainingRows);
        if (!centers)
        {
            deviation = (deviation.square() + mean.square()).sqrt();
            mean = zeros_like(mean);
        }
        var scale = Math.Max(deviation.square().mean().sqrt().item<float>(), float.Epsilon);
        return new Normalization([.. mean.data<float>()], [.. Enumerable.Repeat(scale, (int)mean.shape[0])]);
    }

    /// <summary>W (x - mean) * scale + c = (W * scale) x + (c - (W * scale) mean).</summary>
    private void Fold(Network linear, Network network)
    {
        var weight = linear.Head.weight! * tensor(_runs.Normalization.Scale);
        network.Head.weight!.copy_(weight);
        // A matrix product rounds differently from run to run: tensors of managed arrays are not aligned.
        network.Head.bias?.copy_(linear.Head.bias! - weight.mul(tensor(_runs.Normalization.Mean)).sum([1L]));
    }

    /// <summary>Whether labels of which a share is wrong are not random, and the objective is one that can take wrong labels.</summary>
    private bool CanBeWrong(double share) =>
        share == 0 || (_options.Objective == FloodingObjective.Flood && share < 1 - (1.0 / _runs.Classes));

    /// <summary>The result of the best number of epochs on the held-out rows; null if a run diverged or was stopped.</summary>
    private HeadTrial? CrossValidate(double rate, double share, Tensor[] parts)
    {
        var (accuracy, loss, total) = (new double[MostEpochs], new double[MostEpochs], 0.0);
        for (var fold = 0; fold < parts.Length; fold++)
        {
            var held = parts[fold];
            var weights = _runs.Data.Weights?.index_select(0, held);
            var runs = _runs with
            {
                Data = _runs.Data with
                {
                    TrainingRows = cat([.. parts.Where((_, i) => i != fold)]),
                    Validation = _runs.Data.Training,
                    ValidationRows = held,
                    ValidationWeights = _runs.Data.Weights,
                },
                Seed = RandomStreams.Derive(_runs.Seed, RandomStreams.Purpose.HeadFolds, fold + 1),
            };
            runs = runs with { InitialWeights = StartAt(runs.Data.TrainingRows) };
            using var prepared = runs.Create(OptionsAt(rate, share).With(o =>
            {
                o.MetricsCallback = null;
                o.Callbacks = [];
                o.CheckpointDirectory = null;
                o.EarlyStopping = new EarlyStopping { Metric = LabelLogLoss.Of(share, _runs.Classes, weights), Patience = int.MaxValue };
            }));
            prepared.Run.Train(_ => { }, null);
            if (prepared.Run.Divergence is not null || prepared.Run.Stopped)
                return null;
            var weight = weights?.sum().item<float>() ?? held.shape[0];
            total += weight;
            foreach (var epoch in prepared.Run.Epochs)
            {
                accuracy[epoch.Epoch - 1] += weight * (epoch.AveragedValidationAccuracy ?? epoch.ValidationAccuracy)!.Value;
                loss[epoch.Epoch - 1] += weight * (epoch.AveragedValidationMetric ?? epoch.ValidationMetric)!.Value;
            }
        }
        var best = Enumerable.Range(0, MostEpochs).MinBy(i => loss[i]);
        return new HeadTrial(rate, best + 1, accuracy[best] / total, loss[best] / total) { WrongLabels = share };
    }

    private TrainingOptions OptionsOf(HeadTrial? trial) =>
        OptionsAt(trial?.LearningRate ?? _options.LearningRate ?? SgdRates[0], trial?.WrongLabels ?? 0)
            .With(o => o.Epochs = EpochsOf(trial));

    private TrainingOptions OptionsAt(double rate, double share) => _options.With(o =>
    {
        o.LearningRate = rate;
        o.Epochs = MostEpochs;
        if (share > 0)
            o.Objective = FloodingObjective.NoisyLabels(share);
        // The average of a run that ends early spans as many steps as it did when the run was cross-validated.
        var steps = (double)MostEpochs * ((_runs.Data.TrainingRows.shape[0] + o.BatchSize - 1) / o.BatchSize);
        o.WeightAveraging ??= new WeightAveraging { Decay = WeightAveraging.Exponential.DecayAt(long.MaxValue / 2, (long)steps) };
    });
}
