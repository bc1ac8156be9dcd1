using System.Globalization;
using System.Reflection;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>What makes a run the one it is, so that a checkpoint is never continued with other options or data.</summary>
internal static class RunIdentity
{
    /// <summary>The key of the seed.</summary>
    public const string SeedKey = nameof(TrainingOptions.Seed);

    /// <summary>Options that say where and how a run is watched, not what it computes.</summary>
    private static readonly string[] Irrelevant =
    [
        nameof(TrainingOptions.MetricsCallback), nameof(TrainingOptions.CheckpointDirectory), nameof(TrainingOptions.PretrainedWeights),
    ];

    /// <summary>Every option and the digests of the data and of the network at its beginning, as text.</summary>
    public static IReadOnlyDictionary<string, string> Of(
        TrainingOptions options, Architecture architecture, Network network, TrainingData data, Normalization normalization, ScalarType precision,
        Device device, long seed)
    {
        var identity = typeof(TrainingOptions).GetProperties(BindingFlags.Public | BindingFlags.Instance)
            .Where(p => !Irrelevant.Contains(p.Name))
            .ToDictionary(p => p.Name, p => Describe(p.GetValue(options)));
        identity[SeedKey] = seed.ToString(CultureInfo.InvariantCulture);
        identity[nameof(TrainingOptions.Architecture)] = architecture.Name;
        identity[nameof(TrainingOptions.Precision)] = precision.ToString();
        identity["initial weights"] = Digest(network);
        identity["device"] = device.type.ToString();
        identity["image shape"] = data.Training.Shape.ToString();
        // Every pixel has its part in the statistics, which are at hand.
        identity["pixel statistics"] = Describe(normalization);
        identity["training labels"] = Digest(data.Training.Labels);
        identity["training rows"] = Digest(data.TrainingRows);
        identity["validation labels"] = data.Validation is { } validation ? Digest(validation.Labels) : "none";
        identity["validation rows"] = data.ValidationRows is { } rows ? Digest(rows) : "none";
        return identity;
    }

    private static string Describe(object? value) => value switch
    {
        null => "not set",
        Architecture architecture => architecture.Name,
        Enum constant => constant.ToString(),
        FloodingObjective objective => objective.ToString(),
        // Schedules of different kinds may have the same members.
        LearningRateSchedule => value.GetType().Name + JsonSerializer.Serialize(value, value.GetType()),
        _ => JsonSerializer.Serialize(value, value.GetType()),
    };

    private static string Digest(Network network)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var (_, tensor) in network.State())
        {
            using var contiguous = tensor.detach().contiguous();
            hash.AppendData(contiguous.bytes);
        }
        return Convert.ToHexString(hash.GetHashAndReset(), 0, 8);
    }

    private static string Digest(Tensor tensor)
    {
        using var contiguous = tensor.contiguous();
        return $"{contiguous.numel()} of {Convert.ToHexString(SHA256.HashData(contiguous.bytes), 0, 8)}";
    }
}
