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

    /// <summary>Whether every epoch is done, or the patience of early stopping spent.</summary>
    public bool Finished => _epochs.Count >= _options.Epochs || _best?.Exhausted(_epochs.Count) == true;

    /// <summary>The epochs trained so far.</summary>
    public IReadOnlyList<EpochMetrics> Epochs => _epochs;

    /// <summary>Trains to the end, continuing from the newest checkpoint; the network then has the selected weights.</summary>
    /// <param name="report">Called after each epoch.</param>
    /// <param name="checkpoints">Where checkpoints go; null: nowhere.</param>
    /// <param name="stop">Asked before each epoch: whether the run ends there.</param>
    public TrainingHistory Fit(Action<EpochMetrics> report, CheckpointStore? checkpoints, Func<bool>? stop = null)
    {
        Resume(checkpoints);
        while (!Finished && stop?.Invoke() != true)
        {
            TrainEpoch();
            FinishEpoch(report, checkpoints);
        }
        return SelectWeights();
    }

    /// <summary>Continues from the newest checkpoint, if there is one.</summary>
    public void Resume(CheckpointStore? checkpoints)
    {
        using var checkpoint = checkpoints?.LoadNewest();
        if (checkpoint is not null)
            Restore(checkpoint);
    }

    /// <summary>Saves and tells of the epoch that was trained.</summary>
    public void FinishEpoch(Action<EpochMetrics> report, CheckpointStore? checkpoints)
    {
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
    public IReadOnlyDictionary<string, Tensor> State()
    {
        var state = _weights.Network.named_buffers().ToDictionary(b => b.name, b => b.buffer);
        foreach (var (name, master) in _weights.Names.Zip(_weights.Masters))
            state.Add(name, master);
        return state;
    }

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

    /// <summary>Trains and validates the next epoch.</summary>
    public void TrainEpoch()
    {
        using var scope = NewDisposeScope();
        var watch = Stopwatch.StartNew();
        var number = _epochs.Count + 1;
        using var orderGenerator = RandomStreams.Create(_seed, RandomStreams.Purpose.Order, number, CPU);
        using var augmentationGenerator = RandomStreams.Create(_seed, RandomStreams.Purpose.Augmentation, number, _device);
        using var dropoutGenerator = RandomStreams.Create(_seed, RandomStreams.Purpose.Dropout, number, _device);
        if (_weights.Network is Network network)
            network.DropoutGenerator = dropoutGenerator;
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
                if (i == _stepsPerEpoch - 1)
                    gradientNorm.copy_((Tensor)TensorListKernels.Invoke("norm", [gradients]));
            }

        var figures = stack([.. losses, .. balances]).to(CPU).data<float>().ToArray();
        var batchLosses = figures[..losses.Count];
        ThrowIfNotFinite(batchLosses, number);
        var seconds = watch.Elapsed.TotalSeconds;
        var raw = Validate(phase.Part, data);
        var averaged = ValidateAverage(phase.Part, data);
        if (raw is { } validation)
            _best?.Offer(number, validation, averaged, _weights, _average);
        _epochs.Add(new EpochMetrics
        {
            Epoch = number,
            TrainingLoss = batchLosses.Average(l => (double)l),
            LowestBatchLoss = batchLosses.Min(),
            FloodedShare = figures.Skip(losses.Count).Select(balance => (1 - (double)balance) / 2).DefaultIfEmpty().Average(),
            ValidationLoss = raw?.Loss,
            ValidationAccuracy = raw?.Accuracy,
            AveragedValidationLoss = averaged?.Loss,
            AveragedValidationAccuracy = averaged?.Accuracy,
            LearningRate = rate,
            GradientNorm = gradientNorm.item<float>(),
            ImagesPerSecond = _data.TrainingRows.shape[0] / seconds,
        });
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

    private void ThrowIfNotFinite(float[] losses, int epoch)
    {
        var step = Array.FindIndex(losses, l => !float.IsFinite(l));
        if (step >= 0)
            throw new InvalidOperationException(
                $"The training loss became {losses[step]} in epoch {epoch}, step {step + 1} of {_stepsPerEpoch}. " +
                $"Lower {nameof(TrainingOptions.LearningRate)} (now {_options.EffectiveLearningRate}), set {nameof(TrainingOptions.MaxGradientNorm)}, " +
                "or look for extreme pixel values.");
    }

    /// <summary>Gives the network the weights that the validation set prefers, and ends the run.</summary>
    public TrainingHistory SelectWeights()
    {
        if (_best is { Values.Length: > 0 })
        {
            _weights.Assign(_best.Values);
            return new TrainingHistory(_epochs, _best.Epoch, _best.Averaged);
        }
        var last = _epochs[^1];
        var averaged = _average is not null && !(last.AveragedValidationLoss > last.ValidationLoss);
        if (averaged)
            _weights.Assign(_average!.Values);
        return new TrainingHistory(_epochs, last.Epoch, averaged);
    }

    /// <summary>What is trained, and the step that does it.</summary>
    private sealed class Phase(
        WorkingWeights weights, Objective objective, NetworkPart part, TrainingOptions options, Tensor? exampleWeights)
    {
        public NetworkPart Part { get; } = part;

        public TrainingStep Step { get; } = new(weights, objective, part, options, exampleWeights: exampleWeights);
    }
}
