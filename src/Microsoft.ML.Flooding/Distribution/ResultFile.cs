using System.Text.Json;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Distribution;

/// <summary>What a run has become, as a safetensors file.</summary>
internal static class ResultFile
{
    private const string IdKey = "id";
    private const string OutcomeKey = "outcome";

    /// <summary>Writes a result.</summary>
    /// <param name="path">The file. It is replaced as a whole.</param>
    /// <param name="id">The id of the run.</param>
    /// <param name="result">The result.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Write(string path, string id, RunResult result)
    {
        Safetensors.Write(path, result.State.Select(s => (s.Key, s.Value)), new Dictionary<string, string>
        {
            [IdKey] = id,
            [OutcomeKey] = JsonSerializer.Serialize(new Outcome(result.History, result.Failure, result.EndedEarly), SnapshotFile.Json),
        });
    }

    /// <summary>Reads the result of a run, with its tensors on the CPU; null if the file is missing or of another run.</summary>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    public static RunResult? Read(string path, string id)
    {
        if (!File.Exists(path))
            return null;
        using var file = SafetensorsFile.Open(path);
        if (file.Metadata.GetValueOrDefault(IdKey) != id)
            return null;
        try
        {
            var (history, failure, endedEarly) = JsonSerializer.Deserialize<Outcome>(file.Metadata[OutcomeKey], SnapshotFile.Json)!;
            var state = file.Entries.ToDictionary(e => e.Name, e => file.Load(e.Name).DetachFromDisposeScope());
            return new RunResult(history, failure, endedEarly, state, new Tensors(state));
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException)
        {
            throw new InvalidDataException($"The result '{path}' is damaged: {e.Message} Delete it to train the run again.", e);
        }
    }

    private sealed record Outcome(TrainingHistory History, string? Failure, bool EndedEarly);

    private sealed class Tensors(Dictionary<string, Tensor> state) : IDisposable
    {
        public void Dispose()
        {
            foreach (var tensor in state.Values)
                tensor.Dispose();
        }
    }
}
