using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Objectives;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>Makes the runs of one Fit ready: they differ in their options, the folds of an objective in their data and seed as well.</summary>
/// <param name="Architecture">Resolved.</param>
/// <param name="Classes">Of the label.</param>
/// <param name="Data">Where the images come from.</param>
/// <param name="Normalization">From pixels to the network's input.</param>
/// <param name="Device">Where the networks are trained.</param>
/// <param name="Precision">The type that they compute in.</param>
/// <param name="Seed">Of everything random.</param>
/// <param name="CheckAlive">Called before each step; throws to cancel.</param>
/// <param name="Start">Gives a network that has its random weights those that training starts from; null: it starts from the random ones.</param>
internal sealed record RunFactory(
    Architecture Architecture, int Classes, TrainingData Data, Normalization Normalization, Device Device, ScalarType Precision, long Seed,
    Action CheckAlive, Action<Network>? Start = null)
{
    /// <summary>A run from its beginning.</summary>
    /// <param name="options">Checked already.</param>
    public PreparedRun Create(TrainingOptions options)
    {
        var network = CreateNetwork();
        try
        {
            Check(network, options);
            var identity = RunIdentity.Of(options, Architecture, network, Data, Normalization, Precision, Device, Seed);
            var checkpoints = options.CheckpointDirectory is { } folder ? new CheckpointStore(folder, identity) : null;
            var objective = options.Objective.At(options.FloodLevel, Facts(options));
            var run = new TrainingRun(network, objective, options, Data, Normalization, Device, Precision, Seed, CheckAlive);
            return new PreparedRun(network, run, identity, checkpoints);
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    /// <summary>A network with its first weights.</summary>
    public Network CreateNetwork()
    {
        using var generator = RandomStreams.Create(Seed, RandomStreams.Purpose.Weights, 0);
        var network = Architecture.Create(Data.Training.Shape, Classes, generator);
        try
        {
            Start?.Invoke(network);
            return network;
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    private void Check(Network network, TrainingOptions options)
    {
        if (options.BatchSize == 1 && network.modules().OfType<BatchNorm1d>().Any())
            throw new ArgumentException($"{Architecture.Name} normalizes over the images of a batch: {nameof(TrainingOptions.BatchSize)} must be at least 2.");
        if (!network.IsInterpretable && (options.FreezeBackboneEpochs > 0 || options.FreezeBatchNorm))
            throw new ArgumentException(
                $"{nameof(TrainingOptions.FreezeBackboneEpochs)} and {nameof(TrainingOptions.FreezeBatchNorm)} need to know the layers of a network. " +
                $"Those of {Architecture.Name} are not known: it was made by a factory or loaded from TorchScript.");
    }

    private ObjectiveFacts Facts(TrainingOptions options)
    {
        using var scope = NewDisposeScope();
        var counts = bincount(Data.Training.Labels.index_select(0, Data.TrainingRows), minlength: Classes);
        return new ObjectiveFacts(counts.data<long>().ToArray(), folds => HeldOutPredictions.Of(this, options, folds), Device);
    }
}

/// <summary>A run with what it needs.</summary>
/// <param name="Network">Trained by the run.</param>
/// <param name="Run">At its beginning.</param>
/// <param name="Identity">What makes it the run it is, by name.</param>
/// <param name="Checkpoints">Where its checkpoints go; null: nowhere.</param>
internal sealed record PreparedRun(Network Network, TrainingRun Run, IReadOnlyDictionary<string, string> Identity, CheckpointStore? Checkpoints) : IDisposable
{
    public void Dispose()
    {
        Run.Dispose();
        Network.Dispose();
    }
}
