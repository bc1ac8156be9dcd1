using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>
/// Everything that decides what a run computes, by name. Only a run with the same identity continues a checkpoint.
/// </summary>
internal static class RunIdentity
{
    /// <summary>The key of the seed.</summary>
    public const string SeedKey = nameof(TrainingOptions.Seed);

    /// <summary>The key of the kind of device.</summary>
    public const string DeviceKey = "device";

    /// <summary>The key of what depends on <see cref="TrainingOptions.Epochs"/>, besides the end of the run.</summary>
    private const string LengthKey = "depends on the number of epochs";

    // The steps of a run of another length are the same as far as both go.
    private const string Nothing = "nothing";

    private const string NotSet = "not set";

    // Marks a value that only shows whether two things are equal.
    private const string DigestMark = "sha256 ";

    /// <summary>
    /// Computes the identity of a run. It leaves out the options that only watch the run, and the path in
    /// <see cref="TrainingOptions.PretrainedWeights"/>, because it contains the digest of the initial weights.
    /// </summary>
    public static IReadOnlyDictionary<string, string> Compute(
        TrainingOptions options, Architecture architecture, Network network, TrainingData data, Normalization normalization,
        ScalarType precision, Device device, long seed) => new Dictionary<string, string>
        {
            [nameof(options.FloodLevel)] = Describe(options.FloodLevel),
            [nameof(options.Objective)] = options.Objective.ToString(),
            // The name of a script is its digest.
            [nameof(options.Architecture)] = architecture.Name,
            [nameof(options.FreezeBackboneEpochs)] = Describe(options.FreezeBackboneEpochs),
            [nameof(options.LayerDecay)] = Describe(options.LayerDecay),
            [nameof(options.FreezeBatchNorm)] = Describe(options.FreezeBatchNorm),
            [nameof(options.Epochs)] = Describe(options.EffectiveEpochs),
            [LengthKey] = DependsOnEpochs(options),
            [nameof(options.BatchSize)] = Describe(options.BatchSize),
            [nameof(options.MicroBatchSize)] = Describe(options.MicroBatchSize),
            // The sum of the gradients rounds differently.
            [nameof(options.DataParallel)] = options.DataParallel is { } parallel ? $"{parallel} (ranks: {parallel.Size})" : NotSet,
            [nameof(options.Augmentation)] = Describe(options.Augmentation),
            [nameof(options.Optimizer)] = options.Optimizer.ToString(),
            [nameof(options.LearningRate)] = Describe(options.LearningRate),
            // Schedules of different types can have the same members.
            [nameof(options.Schedule)] = options.Schedule.GetType().Name + Describe(options.Schedule),
            [nameof(options.Momentum)] = Describe(options.Momentum),
            [nameof(options.Nesterov)] = Describe(options.Nesterov),
            [nameof(options.WeightDecay)] = Describe(options.WeightDecay),
            [nameof(options.DecayBiasAndNorm)] = Describe(options.DecayBiasAndNorm),
            [nameof(options.MaxGradientNorm)] = Describe(options.MaxGradientNorm),
            [nameof(options.WeightAveraging)] = Describe(options.WeightAveraging),
            [nameof(options.EarlyStopping)] = options.EarlyStopping is { } stopping
                ? Describe(new { Metric = stopping.Metric.Name, stopping.Patience, stopping.MinimumChange })
                : NotSet,
            // Checkpoints hold its values. A search compares by it, and has no early stopping that would name it.
            ["validation metric"] = options.OwnMetric?.Name ?? "built in",
            [nameof(options.Precision)] = precision.ToString(),
            [SeedKey] = seed.ToString(CultureInfo.InvariantCulture),
            [DeviceKey] = device.type.ToString(),
            ["initial weights"] = Digest(network),
            ["image shape"] = data.Training.Shape.ToString(),
            ["normalization of the pixels"] = Describe(normalization),
            ["number of training images"] = Count(data.TrainingRows),
            ["training images"] = Digest(data.Training.Digests, data.TrainingRows),
            ["training labels"] = Digest(data.Training.Labels, data.TrainingRows),
            ["weights of the training images"] = Digest(data.Weights, data.TrainingRows),
            // The folds of held-out predictions keep groups together.
            ["groups of the training images"] = Digest(data.Training.Groups, data.TrainingRows),
            ["choice of training rows"] = Digest(data.TrainingRows),
            ["order of the training images"] = OrderOf(data.Training),
            ["number of validation images"] = Count(data.ValidationRows),
            ["validation images"] = Digest(data.Validation?.Digests, data.ValidationRows),
            ["validation labels"] = Digest(data.Validation?.Labels, data.ValidationRows),
            ["weights of the validation images"] = Digest(data.ValidationWeights, data.ValidationRows),
            ["order of the validation images"] = OrderOf(data.Validation),
        };

    /// <summary>The differences between two runs, in words; empty if there are none.</summary>
    /// <param name="run">The identity of the run.</param>
    /// <param name="other">The identity of the other run.</param>
    public static IReadOnlyList<string> Differences(IReadOnlyDictionary<string, string> run, IReadOnlyDictionary<string, string> other)
    {
        var dependent = run.GetValueOrDefault(LengthKey);
        var isFree = dependent == Nothing && other.GetValueOrDefault(LengthKey) == Nothing;
        return
        [
            .. run.Keys.Union(other.Keys)
                .Where(key => key != LengthKey && !(isFree && key == nameof(TrainingOptions.Epochs)))
                .Where(key => run.GetValueOrDefault(key, NotSet) != other.GetValueOrDefault(key, NotSet))
                .Select(key => Difference(key, run.GetValueOrDefault(key, NotSet), other.GetValueOrDefault(key, NotSet))
                    + (key == nameof(TrainingOptions.Epochs) && dependent != Nothing ? $", which changes {dependent}" : "")),
        ];
    }

    private static string Difference(string key, string value, string other) =>
        IsDigest(value) || IsDigest(other) ? $"other {key}" : $"{key} is {value} but was {other}";

    /// <summary>The options through which the number of epochs changes the steps of a run.</summary>
    private static string DependsOnEpochs(TrainingOptions options)
    {
        var parts = new List<string>();
        if (options.Schedule with { WarmUpEpochs = 0 } != LearningRateSchedule.Constant)
            parts.Add($"the {nameof(options.Schedule)}");
        if (options.EffectiveAveraging is { Enabled: true, Decay: null })
            parts.Add($"the default {nameof(WeightAveraging.Decay)} of {nameof(options.WeightAveraging)}");
        if (options.Objective.AuxiliaryNetworks > 0)
            parts.Add($"the auxiliary networks of the {nameof(options.Objective)}");
        return parts.Count == 0 ? Nothing : string.Join(" and ", parts);
    }

    private static bool IsDigest(string value) => value.StartsWith(DigestMark, StringComparison.Ordinal);

    private static string Describe<T>(T? value) => value is null ? NotSet : JsonSerializer.Serialize(value, value.GetType());

    private static string Count(Tensor? rows) => (rows?.shape[0] ?? 0).ToString(CultureInfo.InvariantCulture);

    private static string OrderOf(ImageSet? set) =>
        set is not null && set.BlockLength < set.Count ? $"shuffled within blocks of {set.BlockLength}" : "shuffled as a whole";

    private static string Digest(Network network)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var (name, tensor) in network.State())
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{name} {tensor.dtype} {string.Join(' ', tensor.shape)}\n"));
            using var contiguous = tensor.detach().contiguous();
            foreach (var piece in TensorFile.Pieces(contiguous))
                hash.AppendData(piece.bytes);
        }
        return Mark(hash.GetHashAndReset());
    }

    /// <summary>The digest of the values of some rows, in their order.</summary>
    private static string Digest(Tensor? values, Tensor? rows)
    {
        if (values is null || rows is null)
            return Mark(SHA256.HashData([]));
        using var selected = values.index_select(0, rows);
        return Digest(selected);
    }

    private static string Digest(Tensor tensor)
    {
        using var contiguous = tensor.contiguous();
        return Mark(SHA256.HashData(contiguous.bytes));
    }

    private static string Mark(byte[] hash) => DigestMark + Convert.ToHexString(hash, 0, 8);
}
