using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.ML.Flooding.Networks;

namespace Microsoft.ML.Flooding.Training;

/// <summary>A <see cref="TrainingSnapshot"/> as a safetensors file, with the identity of its run.</summary>
internal static class SnapshotFile
{
    private const string ProgressKey = "progress";
    private const string RunKey = "run";

    /// <summary>How the scalars of a run are written.</summary>
    internal static readonly JsonSerializerOptions Json = new()
    {
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    /// <summary>Writes a snapshot.</summary>
    /// <param name="path">The file. It is replaced as a whole.</param>
    /// <param name="snapshot">The snapshot.</param>
    /// <param name="run">The <see cref="RunIdentity"/>.</param>
    /// <exception cref="IOException">The file cannot be written. An older one is not changed.</exception>
    public static void Write(string path, TrainingSnapshot snapshot, IReadOnlyDictionary<string, string> run)
    {
        Safetensors.Write(path, snapshot.Tensors, new Dictionary<string, string>
        {
            [ProgressKey] = JsonSerializer.Serialize(snapshot.Progress, Json),
            [RunKey] = JsonSerializer.Serialize(run, Json),
        });
    }

    /// <summary>Reads the snapshot, on the CPU. It belongs to the caller.</summary>
    /// <exception cref="InvalidDataException">It is damaged.</exception>
    public static TrainingSnapshot Read(SafetensorsFile file)
    {
        try
        {
            var progress = JsonSerializer.Deserialize<TrainingProgress>(file.Metadata[ProgressKey], Json)
                ?? throw new InvalidDataException("Its progress is missing.");
            return new TrainingSnapshot(progress, [.. file.Entries.Select(e => (e.Name, file.Load(e.Name).DetachFromDisposeScope()))]);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException)
        {
            throw new InvalidDataException(e.Message, e);
        }
    }

    /// <summary>The identity of the run; empty if there is none.</summary>
    /// <exception cref="JsonException">It is damaged.</exception>
    public static Dictionary<string, string> RunOf(SafetensorsFile file) =>
        JsonSerializer.Deserialize<Dictionary<string, string>>(file.Metadata.GetValueOrDefault(RunKey) ?? "{}", Json) ?? [];
}
