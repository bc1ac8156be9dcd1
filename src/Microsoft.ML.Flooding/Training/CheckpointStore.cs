using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Flooding.Networks;

namespace Microsoft.ML.Flooding.Training;

/// <summary>
/// The checkpoints of one run in a folder: one safetensors file per epoch, written atomically; the last two are kept. The file of epoch 0
/// holds only the identity of the run. A run refuses checkpoints of other options or data and names the difference.
/// </summary>
internal sealed class CheckpointStore
{
    private const string Pattern = "epoch-*.safetensors";
    private const int Kept = 2;

    private readonly string _folder;
    private readonly SortedDictionary<string, string> _run;

    /// <param name="folder">Created if it does not exist.</param>
    /// <param name="run">The <see cref="RunIdentity"/>.</param>
    /// <exception cref="IOException">The folder cannot be created.</exception>
    public CheckpointStore(string folder, IReadOnlyDictionary<string, string> run)
    {
        _folder = Directory.CreateDirectory(folder).FullName;
        _run = new SortedDictionary<string, string>(run.ToDictionary(), StringComparer.Ordinal);
        // A process that was killed while writing leaves a temporary file.
        foreach (var unfinished in Directory.EnumerateFiles(_folder, Pattern + ".tmp"))
            File.Delete(unfinished);
        // A run without a seed must find its own again, and auxiliary networks can train long before its first epoch ends.
        if (NewestOfAnEpoch() is null)
            Save(new TrainingSnapshot(new TrainingProgress(0, [], null), []));
    }

    /// <summary>The value of a key of the run identity in the newest checkpoint of a folder; null if there is none.</summary>
    public static string? Peek(string folder, string key)
    {
        if (!Directory.Exists(folder) || Newest(folder) is not { } path)
            return null;
        using var file = SafetensorsFile.Open(path);
        return SnapshotFile.RunOf(file).GetValueOrDefault(key);
    }

    /// <summary>Writes a checkpoint.</summary>
    /// <exception cref="IOException">The file cannot be written. Older checkpoints are not changed.</exception>
    public void Save(TrainingSnapshot snapshot)
    {
        SnapshotFile.Write(Path.Combine(_folder, NameOf(snapshot.Progress.Epochs.Count)), snapshot, _run);
        foreach (var old in Directory.EnumerateFiles(_folder, Pattern).OrderDescending(StringComparer.Ordinal).Skip(Kept))
            File.Delete(old);
    }

    /// <summary>The newest checkpoint, on the CPU; null if no epoch was finished. It belongs to the caller.</summary>
    /// <exception cref="InvalidOperationException">It belongs to another run; the message names the difference.</exception>
    /// <exception cref="InvalidDataException">It is damaged.</exception>
    public TrainingSnapshot? LoadNewest()
    {
        if (NewestOfAnEpoch() is not { } path)
            return null;
        try
        {
            using var file = SafetensorsFile.Open(path);
            ThrowIfOfAnotherRun(SnapshotFile.RunOf(file));
            var snapshot = SnapshotFile.Read(file);
            ThrowIfLonger(snapshot.Progress.Epochs.Count);
            return snapshot;
        }
        catch (Exception e) when (e is InvalidDataException or JsonException)
        {
            throw new InvalidDataException(
                $"The checkpoint '{path}' is damaged: {e.Message} Delete it to continue from the previous one.", e);
        }
    }

    private static string NameOf(int epoch) => string.Create(CultureInfo.InvariantCulture, $"epoch-{epoch:000000}.safetensors");

    private string? NewestOfAnEpoch() => Newest(_folder) is { } path && Path.GetFileName(path) != NameOf(0) ? path : null;

    private static string? Newest(string folder) => Directory.EnumerateFiles(folder, Pattern).Max(StringComparer.Ordinal);

    /// <summary>A run of another length may continue, but not be cut: earlier epochs are not kept.</summary>
    private void ThrowIfLonger(int trained)
    {
        var text = _run.GetValueOrDefault(nameof(TrainingOptions.Epochs));
        if (int.TryParse(text, CultureInfo.InvariantCulture, out var epochs) && trained > epochs)
        {
            throw new InvalidOperationException(
                $"The checkpoints in '{_folder}' have {trained} epochs, but {nameof(TrainingOptions.Epochs)} is {epochs}. Set it to at "
                + $"least {trained}, or give this run its own {nameof(TrainingOptions.CheckpointDirectory)}.");
        }
    }

    private void ThrowIfOfAnotherRun(Dictionary<string, string> other)
    {
        var differences = RunIdentity.Differences(_run, other);
        if (differences.Count > 0)
            throw new InvalidOperationException(
                $"The checkpoints in '{_folder}' belong to another run: {string.Join("; ", differences)}. "
                + $"Give this run its own {nameof(TrainingOptions.CheckpointDirectory)}, or delete them to start again.");
    }
}
