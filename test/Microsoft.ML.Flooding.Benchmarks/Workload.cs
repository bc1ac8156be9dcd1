using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Objectives;
using Microsoft.ML.Flooding.Runtime;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>A network, images for it, and three ways to train it: by hand, with the library, and with bare libtorch calls.</summary>
internal sealed class Workload : IDisposable
{
    private const int Classes = 10;

    private readonly Architecture _architecture;
    private readonly Func<nn.Module<Tensor, Tensor>>? _byHand;
    private readonly ImageShape _shape;
    private readonly Optimizer _optimizer;
    private readonly int _steps;
    private readonly int _batch;
    private readonly MemoryImageSet _set;
    private readonly Tensor _rows;
    private readonly List<IDisposable> _owned = [];

    private Workload(
        Architecture architecture, Func<nn.Module<Tensor, Tensor>>? byHand, ImageShape shape, int steps, Optimizer optimizer = Optimizer.Sgd,
        int batch = 128)
    {
        _architecture = architecture;
        _byHand = byHand;
        _shape = shape;
        _optimizer = optimizer;
        _steps = steps;
        _batch = batch;
        using var generator = new Generator(1);
        _set = new MemoryImageSet(
            shape,
            randint(0, 256, [Images, shape.Height, shape.Width, shape.Channels], dtype: ScalarType.Byte, generator: generator)
                .DetachFromDisposeScope(),
            randint(0, Classes, [Images], dtype: ScalarType.Int64, generator: generator).DetachFromDisposeScope(),
            arange(Images).DetachFromDisposeScope(),
            zeros(Images, ScalarType.Int64).DetachFromDisposeScope());
        _rows = arange(Images).DetachFromDisposeScope();
    }

    public static Workload ResNet18(int steps) =>
        new(Architecture.ResNet18, () => HandWritten.ResNet18(3, Classes), new ImageShape(32, 32, 3), steps);

    public static Workload ConvNet(int steps, int batch = 128) =>
        new(Architecture.ConvNet, () => HandWritten.ConvNet(1, Classes), new ImageShape(28, 28, 1), steps, batch: batch);

    public static Workload Mlp(int steps, Optimizer optimizer = Optimizer.Sgd) =>
        new(
            Architecture.Mlp.WithHiddenSizes(1000, 1000), () => HandWritten.Mlp(28 * 28, Classes), new ImageShape(28, 28, 1), steps,
            optimizer);

    /// <summary>A network without a version by hand.</summary>
    public static Workload Of(Architecture architecture, ImageShape shape, int batch, int steps) =>
        new(architecture, null, shape, steps, batch: batch);

    public int Images => _steps * _batch;

    /// <summary>
    /// The loop that a TorchSharp user writes: a module, cross_entropy, backward, an optimizer of torch.optim, and loss.item() in each
    /// step, on float32 images [N, C, H, W] that are normalized in advance.
    /// </summary>
    public Contender ByHand()
    {
        var network = Own(_byHand!());
        var parameters = network.parameters();
        optim.Optimizer optimizer = Own(_optimizer switch
        {
            Optimizer.Sgd => optim.SGD(parameters, Options().EffectiveLearningRate, momentum: 0.9, weight_decay: 5e-4),
            Optimizer.Adam => (optim.Optimizer)optim.Adam(parameters, Options().EffectiveLearningRate),
            var other => throw new InvalidOperationException($"Write the step of {other} by hand here to compare it with the library's."),
        });
        var (images, labels) = ReadyTensors(channelsLast: false);
        return new Contender(() =>
        {
            var total = 0.0;
            for (var i = 0; i < _steps; i++)
            {
                using var scope = NewDisposeScope();
                optimizer.zero_grad();
                var logits = network.forward(images.narrow(0, i * _batch, _batch));
                var loss = nn.functional.cross_entropy(logits, labels.narrow(0, i * _batch, _batch));
                loss.backward();
                optimizer.step();
                total += loss.item<float>();
            }
        });
    }

    /// <summary>One epoch of the library: gathering, normalization, the steps, and their bookkeeping.</summary>
    /// <param name="precision">The precision of the computation.</param>
    /// <param name="floodLevel">The flood level of the objective.</param>
    /// <param name="beforeStep">Called before each step.</param>
    public Contender Ours(Precision precision, float floodLevel = 0, Action? beforeStep = null)
    {
        var options = Options();
        options.FloodLevel = floodLevel;
        var run = Own(new TrainingRun(
            Own(CreateNetwork()), Flood.At(floodLevel), options, new TrainingData(_set, _rows, null, null), Normalization(), CPU,
            TypeOf(precision), 1, beforeStep ?? (() => { })));
        return InFit(() => run.TrainEpoch());
    }

    /// <summary>The bare steps of the floor, as many as <see cref="Ours"/> takes.</summary>
    public Contender Bare(Precision precision)
    {
        var step = BareStep(precision);
        return InFit(() =>
        {
            for (var i = 0; i < _steps; i++)
                step();
        });
    }

    /// <summary>A step of the floor: forward, backward and fused update on ready tensors. With this libtorch, no step is cheaper.</summary>
    public Action BareStep(Precision precision)
    {
        var weights = Own(new WorkingWeights(Own(CreateNetwork()), CPU, TypeOf(precision)));
        var optimizer = Own(FusedOptimizer.Create(weights.Masters, Options(), Options().WeightDecay));
        var (images, labels) = ReadyTensors(channelsLast: true);
        var typed = Own(images.to(TypeOf(precision)).DetachFromDisposeScope());
        var rate = Options().EffectiveLearningRate;
        var next = 0;
        return () =>
        {
            using var scope = NewDisposeScope();
            var logits = weights.Network.forward(typed.narrow(0, next * _batch, _batch)).to(ScalarType.Float32);
            var loss = nn.functional.cross_entropy(logits, labels.narrow(0, next * _batch, _batch));
            next = (next + 1) % _steps;
            Tensor[] gradients = [.. autograd.grad([loss], weights.Parameters)];
            using var _ = no_grad();
            optimizer.Step(gradients, rate);
            weights.Publish();
        };
    }

    public void Dispose()
    {
        foreach (var owned in Enumerable.Reverse(_owned))
            owned.Dispose();
        _rows.Dispose();
        _set.Dispose();
    }

    /// <summary>Runs under the conditions within a Fit: memory is retained, and a first run has allocated what a step needs.</summary>
    private static Contender InFit(Action run) => new(run, () =>
    {
        var heap = HeapRetention.ForTraining();
        run();
        return heap;
    });

    private static ScalarType TypeOf(Precision precision) => precision == Precision.BFloat16 ? ScalarType.BFloat16 : ScalarType.Float32;

    private Normalization Normalization() =>
        new([.. Enumerable.Repeat(127.5f, _shape.Channels)], [.. Enumerable.Repeat(73.9f, _shape.Channels)]);

    private TrainingOptions Options() => new()
    {
        FloodLevel = 0,
        WeightAveraging = WeightAveraging.None,
        Optimizer = _optimizer,
        BatchSize = _batch,
        WeightDecay = _optimizer == Optimizer.Sgd ? 5e-4 : 0,
        Epochs = 1_000_000,
    };

    private Network CreateNetwork()
    {
        using var generator = new Generator(1);
        return _architecture.Create(_shape, Classes, generator);
    }

    private (Tensor Images, Tensor Labels) ReadyTensors(bool channelsLast)
    {
        using var normalizer = Normalization().On(CPU);
        using var batches = _set.Read(_rows, Images, CPU);
        using var scope = NewDisposeScope();
        batches.MoveNext();
        var images = normalizer.Apply(batches.Current.Pixels);
        return (Own((channelsLast ? images : images.contiguous()).DetachFromDisposeScope()), _set.Labels);
    }

    private T Own<T>(T value) where T : IDisposable
    {
        _owned.Add(value);
        return value;
    }
}
