using System.Globalization;
using System.Security.Cryptography;
using Microsoft.ML;
using Microsoft.ML.Flooding;
using static TorchSharp.torch;

/// <summary>
/// One rank of a data-parallel training, or a process that trains alone. Writes the number of its process, and at the end the losses of
/// all steps as rank 0 sees them, and a digest of the weights that the rank has.
/// </summary>
internal static class RankProgram
{
    /// <summary>Trains plain and flooded, with SGD and Adam.</summary>
    /// <param name="images">The file of the images.</param>
    /// <param name="labels">The file of the labels.</param>
    /// <param name="output">The folder for the files of the ranks, which are named by their numbers.</param>
    /// <param name="settings">
    /// alone: without ranks; checkpoints=FOLDER: floods with SGD only; epochs=N; option: the last rank has another one; halt=CALL: the last
    /// rank halts in this call of its network, and writes a file before.
    /// </param>
    public static void Run(string images, string labels, string output, string[] settings)
    {
        var parallel = settings.Contains("alone") ? null : DataParallel.Mpi();
        var rank = parallel?.Rank ?? 0;
        // mpirun can mix the lines of two ranks, so what another process must read is in files.
        File.WriteAllText(Path.Combine(output, $"{rank}.process"), $"{Environment.ProcessId}");
        var isLast = parallel is not null && rank == parallel.Size - 1;
        var context = new MLContext();
        var data = context.Data.TakeRows(context.Data.LoadFromIdx(images, labels), 700);
        var (checkpoints, epochs) = (Value("checkpoints"), int.Parse(Value("epochs") ?? "6", CultureInfo.InvariantCulture));
        var lines = new List<string>();
        var halt = isLast && Value("halt") is { } call ? int.Parse(call, CultureInfo.InvariantCulture) : 0;
        var nothing = settings.Contains("nothing") ? "" : null;
        (float, Optimizer)[] all = [(0, Optimizer.Sgd), (1, Optimizer.Sgd), (0, Optimizer.Adam), (1, Optimizer.Adam)];
        foreach (var (level, optimizer) in checkpoints is null ? all : all[1..2])
        {
            var losses = new Losses();
            using var model = context.Transforms.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
            {
                DataParallel = parallel,
                FloodLevel = level,
                Optimizer = optimizer,
                LearningRate = isLast && settings.Contains("option") ? 0.5 : null,
                Architecture = Architecture.FromFactory("without-batch-norm", (classes, channels) => Halt.At(
                    halt, Create(classes, channels), () => File.WriteAllText(Path.Combine(output, $"{rank}.halted"), ""))),
                Epochs = epochs,
                EarlyStopping = null,
                CheckpointDirectory = checkpoints,
                Seed = 1,
                Callbacks = [losses],
            }).Fit(data);
            lines.Add($"losses {level} {optimizer} {string.Join(' ', losses.All.Select(loss => Text(loss)))}");
            var validation = model.History.Epochs.Select(e => Text(e.ValidationLoss!.Value));
            lines.Add($"validation {level} {optimizer} {string.Join(' ', validation)}");
            lines.Add($"weights {level} {optimizer} {Digest(model)}");
        }
        // The signals of the runtime must not be those of the MPI library now.
        lines.Add($"null reference {Catch(() => nothing!.Length)}");
        lines.Add($"division by zero {Catch(() => 1 / (nothing?.Length ?? 0))}");
        File.WriteAllLines(Path.Combine(output, $"{rank}"), lines);

        string? Value(string name) =>
            settings.SingleOrDefault(s => s.StartsWith(name + '=', StringComparison.Ordinal))?[(name.Length + 1)..];
    }

    private static nn.Module<Tensor, Tensor> Create(int classes, int channels) => nn.Sequential(
        nn.Conv2d(channels, 8, 5, stride: 2), nn.ReLU(), nn.Conv2d(8, 16, 3, stride: 2), nn.ReLU(), nn.Flatten(),
        nn.Linear(16 * 5 * 5, 64), nn.ReLU(), nn.Linear(64, classes));

    private static string Text(double loss) => loss.ToString(CultureInfo.InvariantCulture);

    private static string Catch(Func<int> fail)
    {
        try
        {
            return $"{fail()}";
        }
        catch (Exception e) when (e is NullReferenceException or DivideByZeroException)
        {
            return "caught";
        }
    }

    private static string Digest(FloodedImageClassificationTransformer model)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var (name, _) in model.Model.Shapes)
            hash.AppendData(System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(model.Model.GetValues(name).ToArray()));
        return Convert.ToHexString(hash.GetHashAndReset(), 0, 8);
    }

    private sealed class Losses : TrainingCallback
    {
        public List<float> All { get; } = [];

        public override void OnStepEnd(TrainingContext context) => All.Add(context.ReadLoss());
    }
}
