using System.Diagnostics;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Objectives;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>
/// One run over the data: the loop, and the state that it carries from epoch to epoch. Nothing in a step waits for the device: losses are read
/// once an epoch.
/// </summary>
internal sealed class TrainingRun : IDisposable
{
    private const string BestPrefix = "best.";

    private readonly TrainingOptions _options;
    private readonly TrainingData _data;
    private readonly Normalization.PixelNormalizer _normalizer;
    private readonly Device _device;
    private readonly long _seed;
    private readonly Action _checkAlive;
    private readonly WorkingWeights _weights;
    private readonly Phase _whole;
    private readonly Phase? _head;
    private readonly WeightAverage? _average;
    private readonly BestWeights? _best;
    private readonly int _stepsPerEpoch;
    private readonly Tensor? _exampleWeights;
    private CachedFeatures? _features;
    private List<EpochMetrics> _epochs = [];
    private bool _brokenOff;
    private long _step;

    /// <param name="network">[N, C, H, W] to logits [N, K]; trained in place. A <see cref="Network"/> where layers are to be frozen.</param>
    /// <param name="objective">What is minimised.</param>
    /// <param name="options">Checked already.</param>
    /// <param name="data">Where the images come from.</param>
    /// <param name="normalization">From pixels to the network's input.</param>
    /// <param name="device">Where the network is trained.</param>
    /// <param name="precision">The type that the network computes in.</param>
    /// <param name="seed">Of everything random.</param>
    /// <param name="checkAlive">Called before each step; throws to end the run.</param>
    public TrainingRun(
        nn.Module<Tensor, Tensor> network, Objective objective, TrainingOptions options, TrainingData data, Normalization normalization,
        Device device, ScalarType precision, long seed, Action checkAlive)
    {
        _options = options;
        _data = data;
        _device = device;
        _seed = seed;
        _checkAlive = checkAlive;
        _stepsPerEpoch = StepsPerEpoch(data.TrainingRows.shape[0], options.BatchSize);
        _normalizer = normalization.On(device);
        _weights = new WorkingWeights(network, device, precision);
        _exampleWeights = data.Weights?.to(device, copy: true).DetachFromDisposeScope();
        _whole = new Phase(_weights, objective, new WholeNetwork(_weights, _normalizer, options.FreezeBatchNorm), options, _exampleWeights);
        // Without augmentation an image has the same features in every epoch.
        if (options.FreezeBackboneEpochs > 0)
            _head = new Phase(
                _weights, objective,
                new HeadOnly(_weights, (Network)network, _normalizer, takesFeatures: options.Augmentation == Augmentation.None),
                options, _exampleWeights);
        if (options.EffectiveAveraging is { Enabled: true } averaging)
            _average = new WeightAverage(_weights, averaging, (long)_stepsPerEpoch * options.Epochs);
        if (options.EarlyStopping is { } stopping)
            _best = new BestWeights(stopping);
    }

    /// <summary>Why the run cannot go on; null while it can.</summary>
    public Divergence? Divergence { get; private set; }

    /// <summary>
    /// Whether <see cref="TrainingOptions.StopToken"/> ended the run before its last step. A run always takes a first step.
    /// </summary>
    public bool Stopped => _brokenOff || (_epochs.Count > 0 && !Finished && _options.StopToken.IsCancellationRequested);

    /// <summary>Whether there is nothing more to train.</summary>
    public bool Ended => Finished || Stopped || Divergence is not null;

    /// <summary>Whether every epoch is done, or the patience of early stopping spent.</summary>
    private bool Finished => _epochs.Count >= _options.Epochs || _best?.Exhausted(_epochs.Count) == true;

    /// <summary>The epochs trained so far.</summary>
    public IReadOnlyList<EpochMetrics> Epochs => _epochs;

    /// <summary>Trains to the end, continuing from the newest checkpoint; the network then has the selected weights.</summary>
    /// <param name="report">Called after each epoch.</param>
    /// <param name="checkpoints">Where checkpoints go; null: nowhere.</param>
    /// <exception cref="InvalidOperationException">The run diverged.</exception>
    public TrainingHistory Fit(Action<EpochMetrics> report, CheckpointStore? checkpoints)
    {
        Train(report, checkpoints);
        return SelectWeights();
    }

    /// <summary>Trains to the end, continuing from the newest checkpoint.</summary>
    /// <param name="report">Called after each epoch.</param>
    /// <param name="checkpoints">Where checkpoints go; null: nowhere.</param>
    /// <param name="prune">Asked before each epoch: whether the run ends there.</param>
    public void Train(Action<EpochMetrics> report, CheckpointStore? checkpoints, Func<bool>? prune = null)
    {
        Resume(checkpoints);
        while (!Ended && prune?.Invoke() != true)
        {
            if (TrainEpoch())
                FinishEpoch(report, checkpoints);
        }
    }

    /// <summary>Continues from the newest checkpoint, if there is one.</summary>
    public void Resume(CheckpointStore? checkpoints)
    {
        using var checkpoint = checkpoints?.LoadNewest();
        if (checkpoint is not null)
            Restore(checkpoint);
    }

    /// <summary>
    /// Saves and tells of the epoch that was trained. A part of an epoch is not saved: a run that continues trains all of it.
    /// </summary>
    public void FinishEpoch(Action<EpochMetrics> report, CheckpointStore? checkpoints)
    {
        if (!_brokenOff)
            checkpoints?.Save(LiveState());
        report(_epochs[^1]);
        _options.MetricsCallback?.Invoke(_epochs[^1]);
    }

    /// <summary>A copy of all that the run carries from epoch to epoch, on the run's device.</summary>
    public RunState Capture()
    {
        using var _ = no_grad();
        var live = LiveState();
        return live with { Tensors = [.. live.Tensors.Select(t => (t.Name, t.Value.detach().clone().DetachFromDisposeScope()))] };
    }

    /// <summary>Sets the run to where <paramref name="state"/> was taken; the state stays the caller's.</summary>
    public void Restore(RunState state)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var saved = state.Tensors.ToDictionary(t => t.Name, t => t.Value);
        foreach (var (name, value) in LiveState().Tensors.Where(t => !t.Name.StartsWith(BestPrefix, StringComparison.Ordinal)))
            value.copy_(saved[name]);
        _weights.Publish();
        _step = state.Progress.Step;
        _epochs = [.. state.Progress.Epochs];
        if (_best is not null && state.Progress.Best is { } best)
        {
            var values = saved.Where(t => t.Key.StartsWith(BestPrefix, StringComparison.Ordinal)).ToDictionary();
            _best.Restore(best, [.. Enumerable.Range(0, values.Count).Select(i => values[BestPrefix + i].to(_device, copy: true).DetachFromDisposeScope())]);
        }
    }

    /// <summary>The network's weights and buffers by name, in float32 whatever it computed in; the tensors stay this run's.</summary>
    public IReadOnlyDictionary<string, Tensor> State() => _weights.State();

    public void Dispose()
    {
        _whole.Step.Dispose();
        _head?.Step.Dispose();
        _exampleWeights?.Dispose();
        _features?.Dispose();
        _average?.Dispose();
        _best?.Dispose();
        _weights.Dispose();
        _normalizer.Dispose();
    }

    /// <summary>
    /// A single image left over is left out: batch norm has no variance to take from it. It is another image each epoch.
    /// </summary>
    private static int StepsPerEpoch(long rows, int batchSize) =>
        checked((int)((rows + batchSize - 1) / batchSize - (rows % batchSize == 1 && rows > 1 ? 1 : 0)));

    /// <summary>The state as it is, not a copy.</summary>
    private RunState LiveState()
    {
        var weights = _weights.Masters.Select((t, i) => ($"weights.{_weights.Names[i]}", t));
        var buffers = _weights.Network.named_buffers().Select(b => ($"buffers.{b.name}", b.buffer));
        var average = (_average?.Values ?? []).Select((t, i) => ($"average.{i}", t));
        var optimizer = _whole.Step.State.Select(s => ($"optimizer.{s.Name}", s.Value))
            .Concat((_head?.Step.State ?? []).Select(s => ($"head-optimizer.{s.Name}", s.Value)));
        var best = (_best?.Values ?? []).Select((t, i) => ($"{BestPrefix}{i}", t));
        return new RunState(new RunProgress(_step, [.. _epochs], _best?.State), [.. weights, .. buffers, .. average, .. optimizer, .. best]);
    }

    /// <summary>Trains and validates the next epoch, or the part of it until the run is stopped.</summary>
    /// <returns>Whether it counts: false where the run diverged.</returns>
    public bool TrainEpoch()
    {
        var number = _epochs.Count + 1;
        if (_weights.Network is not Network network)
            return TrainEpoch(number);
        using var generator = RandomStreams.Create(_seed, RandomStreams.Purpose.Dropout, number);
        network.DropoutGenerator = generator;
        try
        {
            return TrainEpoch(number);
        }
        finally
        {
            network.DropoutGenerator = null;
        }
    }

    private bool TrainEpoch(int number)
    {
        using var scope = NewDisposeScope();
        var watch = Stopwatch.StartNew();
        using var orderGenerator = RandomStreams.Create(_seed, RandomStreams.Purpose.Order, number);
        using var augmentationGenerator = RandomStreams.Create(_seed, RandomStreams.Purpose.Augmentation, number);
        var (phase, data) = PhaseOf(number);
        var order = _data.TrainingRows.index_select(0, randperm(_data.TrainingRows.shape[0], generator: orderGenerator));
        var losses = new List<Tensor>(_stepsPerEpoch);
        var balances = new List<Tensor>(_stepsPerEpoch);
        var gradientNorm = zeros([], ScalarType.Float32, _device);
        var rate = 0.0;
        phase.Part.Train();
        using (var batches = data.Training.Read(order, _options.BatchSize, _device))
            for (var i = 0; i < _stepsPerEpoch; i++)
            {
                _checkAlive();
                rate = _options.EffectiveLearningRate * _options.Schedule.FactorAt(_step, _stepsPerEpoch, _options.Epochs);
                using var step = NewDisposeScope();
                batches.MoveNext();
                var (loss, balance, gradients) = phase.Step.Take(batches.Current, rate, augmentationGenerator);
                _average?.Update(_step, phase.Part.Changed);
                _step++;
                losses.Add(loss.Mean.detach().MoveToOuterDisposeScope());
                if (balance is not null)
                    balances.Add(balance.MoveToOuterDisposeScope());
                _brokenOff = i < _stepsPerEpoch - 1 && _options.StopToken.IsCancellationRequested;
                if (_brokenOff || i == _stepsPerEpoch - 1)
                    gradientNorm.copy_((Tensor)TensorListKernels.Invoke("norm", [gradients]));
                if (_brokenOff)
                    break;
            }

        var norms = new List<Tensor> { _weights.NormOf(_weights.All) };
        if (_average is not null)
            norms.Add(_weights.NormOf(_average.Values));
        var figures = stack([.. losses, .. norms, .. balances]).to(CPU).data<float>().ToArray();
        var batchLosses = figures[..losses.Count];
        Divergence = Diverged(number, batchLosses, figures.AsSpan(losses.Count, norms.Count));
        if (Divergence is not null)
            return false;
        var seconds = watch.Elapsed.TotalSeconds;
        var raw = Validate(phase.Part, data);
        var averaged = ValidateAverage(phase.Part, data);
        Divergence = Diverged(number, batchLosses, raw, averaged);
        if (Divergence is not null)
            return false;
        if (raw is { } validation)
            _best?.Offer(number, validation, averaged, _weights, _average);
        _epochs.Add(new EpochMetrics
        {
            Epoch = number,
            TrainingLoss = batchLosses.Average(l => (double)l),
            LowestBatchLoss = batchLosses.Min(),
            FloodedShare = figures.Skip(losses.Count + norms.Count).Select(balance => (1 - (double)balance) / 2).DefaultIfEmpty().Average(),
            ValidationLoss = raw?.Loss,
            ValidationAccuracy = raw?.Accuracy,
            AveragedValidationLoss = averaged?.Loss,
            AveragedValidationAccuracy = averaged?.Accuracy,
            LearningRate = rate,
            GradientNorm = gradientNorm.item<float>(),
            ImagesPerSecond = _data.TrainingRows.shape[0] * ((double)losses.Count / _stepsPerEpoch) / seconds,
        });
        return true;
    }

    /// <summary>What an epoch trains, and on which form of the data.</summary>
    private (Phase Phase, TrainingData Data) PhaseOf(int epoch)
    {
        if (_head is not { Part: HeadOnly head } || epoch > _options.FreezeBackboneEpochs)
        {
            _features?.Dispose();
            _features = null;
            return (_whole, _data);
        }
        if (!head.TakesFeatures)
            return (_head, _data);
        _features ??= CachedFeatures.Of(_data, head, _device, _checkAlive);
        return (_head, _features.Data);
    }

    private Evaluation? Validate(NetworkPart part, TrainingData data) =>
        data is { Validation: { } set, ValidationRows: { } rows }
            ? Evaluation.Of(_weights, part, set, rows, data.ValidationWeights, _device, _checkAlive)
            : null;

    private Evaluation? ValidateAverage(NetworkPart part, TrainingData data)
    {
        if (_average is null || _data.Validation is null)
            return null;
        var raw = _weights.Snapshot();
        _weights.Assign(_average.Values);
        var evaluation = Validate(part, data);
        _weights.Assign(raw);
        foreach (var tensor in raw)
            tensor.Dispose();
        return evaluation;
    }

    /// <summary>Looks at what an epoch trained.</summary>
    private Divergence? Diverged(int epoch, float[] losses, ReadOnlySpan<float> norms)
    {
        var step = Array.FindIndex(losses, l => !float.IsFinite(l));
        if (step >= 0)
            return Diverged(losses[..step], $"in epoch {epoch}: the loss of step {step + 1} of {_stepsPerEpoch} is {losses[step]}");
        // A norm is also infinite where all weights are finite but huge.
        var name = (float.IsFinite(norms[0]) ? null : _weights.FirstNotFinite(_weights.All))
            ?? (norms.Length < 2 || float.IsFinite(norms[1]) ? null : _weights.FirstNotFinite(_average!.Values));
        return name is null
            ? null
            : Diverged(losses, $"in epoch {epoch}: after step {losses.Length} of {_stepsPerEpoch}, '{name}' is no longer finite");
    }

    /// <summary>Looks at how an epoch was validated.</summary>
    private Divergence? Diverged(int epoch, float[] losses, Evaluation? raw, Evaluation? averaged) =>
        raw is { Loss: var loss } && !double.IsFinite(loss) ? Diverged(losses, $"in epoch {epoch}: the validation loss is {loss}")
        : averaged is { Loss: var other } && !double.IsFinite(other)
            ? Diverged(losses, $"in epoch {epoch}: the validation loss of the averaged weights is {other}")
        : null;

    private Divergence Diverged(float[] losses, string where)
    {
        // Of the options that can make a run diverge, those that are set.
        var causes = new List<(string Option, double Value)> { (nameof(TrainingOptions.LearningRate), _options.EffectiveLearningRate) };
        if (_options.WeightDecay > 0)
            causes.Add((nameof(TrainingOptions.WeightDecay), _options.WeightDecay));
        // Below a level that high there is ascent only.
        if (_options.FloodLevel >= 1)
            causes.Add((nameof(TrainingOptions.FloodLevel), _options.FloodLevel));
        var lower = string.Join(" or ", causes.Select(c => FormattableString.Invariant($"{c.Option} (now {c.Value})")));
        return new Divergence(
            $"Training diverged {where}. Lower {lower}, set {nameof(TrainingOptions.MaxGradientNorm)}, or look for extreme pixel values.",
            losses.DefaultIfEmpty(float.PositiveInfinity).Min());
    }

    /// <summary>Gives the network the weights that the validation set prefers, and ends the run.</summary>
    /// <exception cref="InvalidOperationException">The run diverged.</exception>
    public TrainingHistory SelectWeights()
    {
        if (Divergence is { } divergence)
            throw new InvalidOperationException(divergence.Message);
        if (_best is { Values.Length: > 0 })
        {
            _weights.Assign(_best.Values);
            return new TrainingHistory(_epochs, _best.Epoch, _best.Averaged) { Stopped = Stopped };
        }
        var last = _epochs[^1];
        var averaged = _average is not null && !(last.AveragedValidationLoss > last.ValidationLoss);
        if (averaged)
            _weights.Assign(_average!.Values);
        return new TrainingHistory(_epochs, last.Epoch, averaged) { Stopped = Stopped };
    }

    /// <summary>What is trained, and the step that does it.</summary>
    private sealed class Phase(
        WorkingWeights weights, Objective objective, NetworkPart part, TrainingOptions options, Tensor? exampleWeights)
    {
        public NetworkPart Part { get; } = part;

        public TrainingStep Step { get; } = new(weights, objective, part, options, exampleWeights: exampleWeights);
    }
}
