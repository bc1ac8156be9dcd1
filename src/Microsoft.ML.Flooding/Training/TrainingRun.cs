using System.Diagnostics;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Objectives;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>
/// The training loop: epochs of steps, each epoch validated, and at the end a choice of weights. What it carries from epoch to epoch is its
/// <see cref="TrainingState"/>. Steps do not wait for the device: losses are read once an epoch.
/// </summary>
internal sealed class TrainingRun : IDisposable
{
    private readonly TrainingOptions _options;
    private readonly TrainingData _data;
    private readonly Device _device;
    private readonly long _seed;
    private readonly Action _checkAlive;
    private readonly int _stepsPerEpoch;
    private readonly Normalization.PixelNormalizer _normalizer;
    private readonly WorkingWeights _weights;
    private readonly TrainingPhases _phases;
    private readonly TrainingState _state;
    private readonly TrainingContext _context;
    private readonly Ranks? _ranks;
    private bool _started;
    private bool _brokenOff;

    /// <param name="network">
    /// From [N, C, H, W] to logits [N, K]; trained in place. It must be a <see cref="Network"/> if layers are to be frozen.
    /// </param>
    /// <param name="objective">What steps minimize.</param>
    /// <param name="options">Valid options.</param>
    /// <param name="data">The images.</param>
    /// <param name="normalization">From pixels to the network's input.</param>
    /// <param name="device">The device to train on.</param>
    /// <param name="precision">The type that the network computes in.</param>
    /// <param name="seed">The seed of everything random.</param>
    /// <param name="checkAlive">Called before each step and each batch of the validation; throws to cancel.</param>
    /// <param name="ranks">
    /// The processes that train the network together; null: this one alone. The options of a rank are its own:
    /// <see cref="Ranks.StopToken"/> stops it, and only rank 0 reports.
    /// </param>
    public TrainingRun(
        nn.Module<Tensor, Tensor> network, Objective objective, TrainingOptions options, TrainingData data, Normalization normalization,
        Device device, ScalarType precision, long seed, Action checkAlive, Ranks? ranks = null)
    {
        _ranks = ranks;
        _options = options;
        _data = data;
        _device = device;
        _seed = seed;
        _checkAlive = checkAlive;
        _stepsPerEpoch = CountSteps(data.TrainingRows.shape[0], options.BatchSize, ranks?.FewestImages ?? 2);
        _normalizer = normalization.On(device);
        _weights = new WorkingWeights(network, device, precision);
        _phases = new TrainingPhases(_weights, _normalizer, objective, options, data, device, checkAlive, ranks);
        _state = new TrainingState(_weights, _phases, options, (long)_stepsPerEpoch * options.EffectiveEpochs, data.Validation is not null);
        _context = new TrainingContext(network, options, _stepsPerEpoch);
    }

    /// <summary>The epochs trained so far.</summary>
    public IReadOnlyList<EpochMetrics> Epochs => _state.Epochs;

    /// <summary>Why the run cannot continue; null while it can.</summary>
    public Divergence? Divergence { get; private set; }

    /// <summary>
    /// Whether <see cref="TrainingOptions.StopToken"/> ended the run before its last step. A run always takes a first step.
    /// </summary>
    public bool Stopped => _brokenOff || (Epochs.Count > 0 && !Finished && _options.StopToken.IsCancellationRequested);

    /// <summary>Whether nothing is left to train.</summary>
    public bool Ended => Finished || Stopped || Divergence is not null;

    /// <summary>The seed of what is drawn for each image.</summary>
    private long SeedOfShare => _ranks?.SeedOf(_seed) ?? _seed;

    /// <summary>Whether all epochs are trained or early stopping has run out of patience.</summary>
    private bool Finished => Epochs.Count >= _options.EffectiveEpochs || _state.Best?.Exhausted(Epochs.Count) == true;

    /// <summary>Trains to the end and gives the network the selected weights. Continues from the newest checkpoint.</summary>
    /// <param name="report">Called after each epoch.</param>
    /// <param name="checkpoints">Where checkpoints are stored; null: nowhere.</param>
    /// <exception cref="InvalidOperationException">The run diverged.</exception>
    public TrainingHistory Fit(Action<EpochMetrics> report, CheckpointStore? checkpoints)
    {
        Train(report, checkpoints);
        return SelectWeights();
    }

    /// <summary>Trains to the end. Continues from the newest checkpoint.</summary>
    /// <param name="report">Called after each epoch.</param>
    /// <param name="checkpoints">Where checkpoints are stored; null: nowhere.</param>
    /// <param name="prune">Called before each epoch: whether the run ends there.</param>
    public void Train(Action<EpochMetrics> report, CheckpointStore? checkpoints, Func<bool>? prune = null)
    {
        Resume(checkpoints);
        while (!Ended && prune?.Invoke() != true)
        {
            TrainEpoch();
            FinishEpoch(report, checkpoints);
        }
    }

    /// <summary>Continues from the newest checkpoint, if there is one.</summary>
    public void Resume(CheckpointStore? checkpoints)
    {
        var newest = checkpoints?.LoadNewest();
        using var checkpoint = _ranks is null ? newest : _ranks.Share(newest);
        if (checkpoint is not null)
            Restore(checkpoint);
    }

    /// <summary>Trains and validates the next epoch, or the part of it before the run is stopped.</summary>
    /// <returns>
    /// The lowest mini-batch loss of the epoch. If the run diverged (<see cref="Divergence"/>), the lowest loss before that, or infinity.
    /// </returns>
    public float TrainEpoch()
    {
        Start();
        var epoch = Epochs.Count + 1;
        _context.Epoch = epoch;
        _context.Notify(static (callback, context) => callback.OnEpochStart(context));
        if (_weights.Network is not Network network)
            return TrainEpoch(epoch);
        using var generator = RandomStreams.Create(SeedOfShare, RandomStreams.Purpose.Dropout, epoch);
        network.DropoutGenerator = generator;
        try
        {
            return TrainEpoch(epoch);
        }
        finally
        {
            network.DropoutGenerator = null;
        }
    }

    /// <summary>
    /// Saves and reports the epoch that was trained; does nothing if the run diverged in it. A part of an epoch is not saved: a run that
    /// continues trains all of it.
    /// </summary>
    /// <param name="report">Called with the epoch's metrics, before <see cref="TrainingOptions.MetricsCallback"/>.</param>
    /// <param name="checkpoints">Where the checkpoint is stored; null: nowhere.</param>
    public void FinishEpoch(Action<EpochMetrics> report, CheckpointStore? checkpoints)
    {
        if (Divergence is not null)
            return;
        if (!_brokenOff)
            checkpoints?.Save(_state.View());
        report(Epochs[^1]);
        _options.MetricsCallback?.Invoke(Epochs[^1]);
        _context.Notify(static (callback, context) => callback.OnEpochEnd(context));
        _ranks?.AgreeToStop();
    }

    /// <summary>Gives the network the weights that validation prefers. Ends the run.</summary>
    /// <exception cref="InvalidOperationException">The run diverged.</exception>
    public TrainingHistory SelectWeights()
    {
        if (Divergence is { } divergence)
            throw new InvalidOperationException(divergence.Message);
        Start();
        var history = AssignSelected();
        _context.Notify(static (callback, context) => callback.OnRunEnd(context));
        return history;
    }

    /// <inheritdoc cref="TrainingState.Capture"/>
    public TrainingSnapshot Capture() => _state.Capture();

    /// <summary>Continues from where <paramref name="snapshot"/> was taken, which stays the caller's.</summary>
    public void Restore(TrainingSnapshot snapshot) => _state.Restore(snapshot);

    /// <summary>The network's weights and buffers by name, the weights in float32. The tensors stay this run's.</summary>
    public IReadOnlyDictionary<string, Tensor> State() => _weights.State();

    public void Dispose()
    {
        _phases.Dispose();
        _state.Dispose();
        _normalizer.Dispose();
    }

    /// <summary>
    /// A single image left over is left out, because batch norm cannot compute its variance. It is another image each epoch. Ranks leave
    /// out up to two images each in the same way.
    /// </summary>
    private static int CountSteps(long rows, int batchSize, int fewest)
    {
        var (whole, rest) = Math.DivRem(rows, batchSize);
        return checked((int)(whole + (rest >= fewest || (rest > 0 && whole == 0) ? 1 : 0)));
    }

    /// <summary>Tells the callbacks of the run before its first epoch.</summary>
    private void Start()
    {
        if (_started)
            return;
        _started = true;
        (_context.Epoch, _context.Step, _context.Metrics) = (Epochs.Count, _state.Step, Epochs);
        _context.Notify(static (callback, context) => callback.OnRunStart(context));
    }

    private float TrainEpoch(int epoch)
    {
        using var scope = NewDisposeScope();
        var watch = Stopwatch.StartNew();
        var (step, data) = _phases.At(epoch);
        var steps = TakeSteps(epoch, step, data);
        Divergence = Divergence.FindInSteps(steps, _state, _options);
        if (Divergence is not null)
            return Divergence.LowestBatchLoss;
        var seconds = watch.Elapsed.TotalSeconds;
        if (_ranks is not null)
            seconds = _ranks.Sum(seconds)[0] / _ranks.Size;

        var raw = Validate(step.Part, data);
        var averaged = ValidateAverage(step.Part, data);
        Divergence = Divergence.FindInValidation(steps, raw, averaged, _options);
        if (Divergence is not null)
            return Divergence.LowestBatchLoss;

        if (raw is { } validation)
            _state.Best?.Offer(epoch, validation, averaged, _weights, _state.Average);
        _state.CountEpoch(new EpochMetrics
        {
            Epoch = epoch,
            TrainingLoss = steps.Losses.Average(l => (double)l),
            LowestBatchLoss = steps.Losses.Min(),
            FloodedShare = steps.Balances.Select(balance => (1 - (double)balance) / 2).DefaultIfEmpty().Average(),
            ValidationMetric = raw?.OwnMetric,
            AveragedValidationMetric = averaged?.OwnMetric,
            ValidationLoss = raw?.Loss,
            ValidationAccuracy = raw?.Accuracy,
            AveragedValidationLoss = averaged?.Loss,
            AveragedValidationAccuracy = averaged?.Accuracy,
            LearningRate = steps.LearningRate,
            GradientNorm = steps.GradientNorm,
            ImagesPerSecond = _data.TrainingRows.shape[0] * ((double)steps.Losses.Length / _stepsPerEpoch) / seconds,
        });
        return steps.Losses.Min();
    }

    /// <summary>Takes the steps of an epoch and reads from the device what they measured.</summary>
    private EpochSteps TakeSteps(int epoch, TrainingStep step, TrainingData data)
    {
        using var orderGenerator = RandomStreams.Create(_seed, RandomStreams.Purpose.Order, epoch);
        using var augmentationGenerator = RandomStreams.Create(SeedOfShare, RandomStreams.Purpose.Augmentation, epoch);
        var count = _data.TrainingRows.shape[0];
        var order = _data.TrainingRows.index_select(0, randperm(count, generator: orderGenerator));
        var losses = new List<Tensor>(_stepsPerEpoch);
        var balances = new List<Tensor>(_stepsPerEpoch);
        var gradientNorm = zeros([], ScalarType.Float32, _device);
        var rate = 0.0;
        step.Part.Train();
        using (var batches = _ranks is null
            ? data.Training.Read(order, _options.BatchSize, _device)
            : data.Training.Read(
                _ranks.ShareOfBatches(order, _options.BatchSize, _stepsPerEpoch), (int)_ranks.ShareOf(_options.BatchSize).Count, _device))
        {
            for (var i = 0; i < _stepsPerEpoch; i++)
            {
                _checkAlive();
                rate = _options.EffectiveLearningRate * _options.Schedule.FactorAt(_state.Step, _stepsPerEpoch, _options.EffectiveEpochs);
                _context.LearningRate = rate;
                _context.Notify(static (callback, context) => callback.OnStepStart(context));
                using var scope = NewDisposeScope();
                batches.MoveNext();
                var (loss, balance, gradients) = step.Take(
                    batches.Current, rate, augmentationGenerator,
                    Math.Min(_options.BatchSize, count - ((long)i * _options.BatchSize)));
                _state.CountStep(step.Part.Changed);
                losses.Add(loss.MoveToOuterDisposeScope());
                _context.Step = _state.Step;
                _context.SetLoss(losses[^1]);
                _context.Notify(static (callback, context) => callback.OnStepEnd(context));
                if (balance is not null)
                    balances.Add(balance.MoveToOuterDisposeScope());
                _brokenOff = i < _stepsPerEpoch - 1 && _options.StopToken.IsCancellationRequested;
                if (_brokenOff || i == _stepsPerEpoch - 1)
                    gradientNorm.copy_(TensorListKernels.Norm(gradients));
                if (_brokenOff)
                    break;
            }
        }
        _context.SetLoss(null);
        // Each rank normalizes its own images in a step.
        _ranks?.Average([.. _weights.Buffers(_weights.All), .. _weights.Buffers(_state.Average?.Values ?? [])]);
        var norms = new List<Tensor> { gradientNorm, _weights.NormOf(_weights.All) };
        if (_state.Average is { } average)
            norms.Add(_weights.NormOf(average.Values));
        var figures = stack([.. norms, .. losses, .. balances]).to(CPU).data<float>().ToArray();
        var ofSteps = figures[norms.Count..];
        return new EpochSteps(
            epoch, _stepsPerEpoch, ofSteps[..losses.Count], ofSteps[losses.Count..], GradientNorm: figures[0], WeightNorm: figures[1],
            AverageNorm: norms.Count > 2 ? figures[2] : null, rate);
    }

    /// <summary>Evaluates the network on the validation rows; null without any.</summary>
    private Evaluation? Validate(NetworkPart part, TrainingData data) =>
        data is { Validation: { } set, ValidationRows: { } rows }
            ? Evaluation.Measure(part, set, rows, data.ValidationWeights, _device, _checkAlive, _options.OwnMetric, _ranks)
            : null;

    /// <summary>As <see cref="Validate"/>, with the averaged weights; null without averaging.</summary>
    private Evaluation? ValidateAverage(NetworkPart part, TrainingData data)
    {
        if (_state.Average is not { } average || data.Validation is null)
            return null;
        var raw = _weights.Snapshot();
        _weights.Assign(average.Values);
        var evaluation = Validate(part, data);
        _weights.Assign(raw);
        foreach (var tensor in raw)
            tensor.Dispose();
        return evaluation;
    }

    private TrainingHistory AssignSelected()
    {
        if (_state.Best is { Values.Length: > 0 } best)
        {
            _weights.Assign(best.Values);
            return new TrainingHistory(Epochs, best.Epoch, best.Averaged) { Stopped = Stopped };
        }
        var last = Epochs[^1];
        var averaged = _state.Average is not null && !(last.AveragedValidationLoss > last.ValidationLoss);
        if (averaged)
            _weights.Assign(_state.Average!.Values);
        return new TrainingHistory(Epochs, last.Epoch, averaged) { Stopped = Stopped };
    }
}

/// <summary>What the steps of an epoch measured.</summary>
/// <param name="Epoch">The number of the epoch, from 1.</param>
/// <param name="Planned">The steps of a whole epoch; fewer are taken if the run is stopped.</param>
/// <param name="Losses">The loss of each mini-batch that was trained on, without the flood term.</param>
/// <param name="Balances">The balance of each mini-batch; empty if the objective has none.</param>
/// <param name="GradientNorm">The norm of the last gradient.</param>
/// <param name="WeightNorm">The norm of the weights; not finite if one of them is not.</param>
/// <param name="AverageNorm">As <paramref name="WeightNorm"/>, of the averaged weights; null without averaging.</param>
/// <param name="LearningRate">The learning rate of the last step.</param>
internal sealed record EpochSteps(
    int Epoch, int Planned, float[] Losses, float[] Balances, float GradientNorm, float WeightNorm, float? AverageNorm,
    double LearningRate);
