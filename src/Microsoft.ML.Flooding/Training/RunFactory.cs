using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Objectives;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>Creates the runs of one Fit. They differ in their options; the folds of an objective also in their data and seed.</summary>
/// <param name="Architecture">The resolved architecture.</param>
/// <param name="Classes">The number of classes.</param>
/// <param name="Data">The images.</param>
/// <param name="Normalization">From pixels to the network's input.</param>
/// <param name="Device">The device to train on.</param>
/// <param name="Precision">The type that networks compute in.</param>
/// <param name="Seed">The seed of everything random.</param>
/// <param name="CheckAlive">Called before each step; throws to cancel.</param>
/// <param name="InitialWeights">
/// Replaces the random weights of a new network by those that training starts from; null: it starts from the random weights.
/// </param>
/// <param name="HeldOut">
/// The predictions that objectives such as <see cref="FloodingObjective.CrossFitted(double, int, bool)"/> train on; null if the runs have
/// no such objective.
/// </param>
/// <param name="Ranks">The processes that train each run together; null: this one alone.</param>
/// <param name="Executor">Trains the runs; null: this process.</param>
internal sealed record RunFactory(
    Architecture Architecture, int Classes, TrainingData Data, Normalization Normalization, Device Device, ScalarType Precision, long Seed,
    Action CheckAlive, Action<Network>? InitialWeights = null, Func<Auxiliaries, Tensor>? HeldOut = null, Ranks? Ranks = null,
    IRunExecutor? Executor = null)
{
    private IRunExecutor Trainer => Executor ?? InProcessExecutor.Instance;

    /// <inheritdoc cref="IRunExecutor.Start"/>
    public Task<RunResult> Start(RunRequest request) => Trainer.Start(this, request);

    /// <summary>Waits until a run that was started has ended, failed or was canceled.</summary>
    public void WaitFor(Task run) => Trainer.Wait(run);

    /// <summary>Waits for a run that was started.</summary>
    /// <returns>The result, which then is the caller's.</returns>
    /// <exception cref="OperationCanceledException">The training was stopped before the run began.</exception>
    public RunResult Wait(Task<RunResult> run)
    {
        WaitFor(run);
        return run.GetAwaiter().GetResult();
    }

    /// <summary>Creates a run that has not started.</summary>
    /// <param name="options">Valid options.</param>
    public PreparedRun Create(TrainingOptions options)
    {
        var network = CreateNetwork();
        try
        {
            Check(network, options);
            var identity = IdentityOf(options, network);
            Ranks?.RequireSame(identity);
            var checkpoints = options.CheckpointDirectory is { } folder ? new CheckpointStore(folder, identity) : null;
            var objective = options.Objective.At(options.FloodLevel, Facts());
            var run = new TrainingRun(network, objective, options, Data, Normalization, Device, Precision, Seed, CheckAlive, Ranks);
            return new PreparedRun(network, run, identity, checkpoints);
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    /// <summary>The <see cref="RunIdentity"/> of a run, without creating it.</summary>
    public IReadOnlyDictionary<string, string> Identify(TrainingOptions options)
    {
        using var network = CreateNetwork();
        Check(network, options);
        return IdentityOf(options, network);
    }

    /// <summary>Creates a network with its initial weights.</summary>
    public Network CreateNetwork()
    {
        using var generator = RandomStreams.Create(Seed, RandomStreams.Purpose.Weights, 0);
        var network = Architecture.Create(Data.Training.Shape, Classes, generator);
        try
        {
            InitialWeights?.Invoke(network);
            return network;
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    private IReadOnlyDictionary<string, string> IdentityOf(TrainingOptions options, Network network) =>
        RunIdentity.Compute(options, Architecture, network, Data, Normalization, Precision, Device, Seed);

    private void Check(Network network, TrainingOptions options)
    {
        if ((options.BatchSize == 1 || options.MicroBatchSize == 1) && network.modules().OfType<BatchNorm1d>().Any())
            throw new ArgumentException(
                $"{Architecture.Name} normalizes over the images of a batch: {nameof(TrainingOptions.BatchSize)} and "
                + $"{nameof(TrainingOptions.MicroBatchSize)} must be at least 2.");
        if (Ranks is not null && options.BatchSize < Ranks.FewestImages)
            throw new ArgumentException(
                $"{nameof(options.BatchSize)} is {options.BatchSize}, which {Ranks.Size} ranks share: it must be at least "
                + $"{Ranks.FewestImages}, two images for each rank. Raise it, or start fewer ranks.");
        if (Ranks is not null && Data.TrainingRows.shape[0] < Ranks.FewestImages)
            throw new InvalidOperationException(
                $"There are {Data.TrainingRows.shape[0]} images to train on, fewer than two for each of {Ranks.Size} ranks. Start fewer "
                + "ranks.");
        if (!network.IsInterpretable && (options.FreezeBackboneEpochs > 0 || options.FreezeBatchNorm))
            throw new ArgumentException(
                $"{nameof(options.FreezeBackboneEpochs)} and {nameof(options.FreezeBatchNorm)} need to know the layers of a network. "
                + $"Those of {Architecture.Name} are not known: it was made by a factory or loaded from TorchScript.");
    }

    private ObjectiveFacts Facts()
    {
        using var scope = NewDisposeScope();
        var counts = bincount(Data.Training.Labels.index_select(0, Data.TrainingRows), minlength: Classes);
        return new ObjectiveFacts(
            counts.data<long>().ToArray(), Data.Training.Labels, Data.TrainingRows,
            HeldOut ?? (_ => throw new InvalidOperationException("The runs have no held-out predictions.")),
            Device);
    }
}

/// <summary>A run with its network and checkpoints.</summary>
/// <param name="Network">The network that the run trains.</param>
/// <param name="Run">The run.</param>
/// <param name="Identity">The <see cref="RunIdentity"/>.</param>
/// <param name="Checkpoints">Where checkpoints are stored; null: nowhere.</param>
internal sealed record PreparedRun(
    Network Network, TrainingRun Run, IReadOnlyDictionary<string, string> Identity, CheckpointStore? Checkpoints) : IDisposable
{
    public void Dispose()
    {
        Run.Dispose();
        Network.Dispose();
    }
}
