using System.Globalization;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Runtime;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Distribution;

/// <summary>Trains the run of a folder, in a process other than that of the Fit.</summary>
internal static class WorkerRun
{
    private const string LevelsKey = "levels";

    /// <summary>
    /// Trains the run from its newest checkpoint to the end. Everything it has to tell is a file of the folder: a checkpoint after each
    /// epoch, branches, and at last the result.
    /// </summary>
    /// <param name="id">The id of the run.</param>
    /// <param name="folder">The files of the run.</param>
    /// <param name="pathOf">Gives the file of pixels.</param>
    /// <param name="device">The device to train on.</param>
    /// <param name="checkAlive">Called before each step; throws to end the run without a result.</param>
    /// <param name="written">Called with the name of each file that was written, and the epoch that it ends.</param>
    /// <param name="stop">Ends the run early, with a result.</param>
    /// <exception cref="InvalidOperationException">This process would train something else; the message names the difference.</exception>
    public static void Train(
        string id, RunFolder folder, Func<PixelFile, string> pathOf, Device device, Action checkAlive,
        Action<string, EpochMetrics?> written, CancellationToken stop)
    {
        TorchSettings.RequireDefaults();
        using var gradients = TorchSettings.WithGradients();
        using var scope = NewDisposeScope();
        using var heap = HeapRetention.ForTraining();
        var (description, runs, owner) = RunFile.Read(folder.PathOf(RunFolder.Run), pathOf, device, checkAlive);
        using (owner)
        {
            var options = description.Options.With(o => (o.CheckpointDirectory, o.StopToken) = (folder.Path, stop));
            RequireSame(description, runs.Identify(options));
            using var start = ReadStart(folder);
            using var result = InProcessExecutor.Train(runs, new RunRequest(description.Name, options, epoch =>
            {
                // The last epoch of a run that was stopped has no checkpoint.
                if (folder.Checkpoint is { } checkpoint && RunFolder.EpochOf(checkpoint) == epoch.Epoch)
                    written(checkpoint, epoch);
            })
            {
                Start = start,
                Branching = description.BranchLevels.Count == 0
                    ? null
                    : new Branching(description.BranchLevels, BranchOff, description.EndsWithBranches),
            });
            ResultFile.Write(folder.PathOf(RunFolder.Result), id, result);
            written(RunFolder.Result, null);
        }

        bool BranchOff(BranchPoint point)
        {
            // The branches of epochs before the checkpoint were written earlier.
            if (point.Start is null)
                return true;
            var name = RunFolder.BranchAt(point.Epoch);
            SnapshotFile.Write(folder.PathOf(name), point.Start, new Dictionary<string, string>
            {
                [LevelsKey] = string.Join(' ', point.Levels.Select(level => level.ToString("R", CultureInfo.InvariantCulture))),
            });
            written(name, null);
            return true;
        }
    }

    /// <summary>Reads where runs branch off. The snapshot is the caller's.</summary>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    public static BranchPoint ReadBranch(RunFolder folder, string name)
    {
        using var file = SafetensorsFile.Open(folder.PathOf(name));
        var levels = SnapshotFile.RunOf(file)[LevelsKey].Split(' ').Select(level => float.Parse(level, CultureInfo.InvariantCulture));
        return new BranchPoint([.. levels], RunFolder.EpochOf(name), SnapshotFile.Read(file));
    }

    private static TrainingSnapshot? ReadStart(RunFolder folder)
    {
        var path = folder.PathOf(RunFolder.Start);
        if (!File.Exists(path))
            return null;
        using var file = SafetensorsFile.Open(path);
        return SnapshotFile.Read(file);
    }

    /// <summary>Another kind of device may compute in another type. Everything else has to be the same.</summary>
    private static void RequireSame(RunDescription description, IReadOnlyDictionary<string, string> identity)
    {
        var wanted = description.Identity;
        string[] free = wanted[RunIdentity.DeviceKey] == identity[RunIdentity.DeviceKey]
            ? []
            : [RunIdentity.DeviceKey, nameof(TrainingOptions.Precision)];
        var differences = RunIdentity.Differences(Without(identity), Without(wanted));
        if (differences.Count > 0)
            throw new InvalidOperationException($"The worker would train another run: {string.Join("; ", differences)}.");

        Dictionary<string, string> Without(IReadOnlyDictionary<string, string> run) =>
            run.Where(entry => !free.Contains(entry.Key)).ToDictionary();
    }
}
