using System.Diagnostics;
using Common;
using Microsoft.ML;
using Microsoft.ML.Flooding;

// Trains the demo's network with one process and with two that share each mini-batch, and compares the epochs.
// mpirun starts this program again; each of those processes is a rank.
const int Ranks = 2;

if (args is ["rank", var model])
{
    Train(DataParallel.Mpi(), model);
    return 0;
}

var folder = Directory.CreateDirectory("artifacts/data-parallel");
var (alone, shared) = (Path.Combine(folder.FullName, "alone.zip"), Path.Combine(folder.FullName, "shared.zip"));
Train(null, alone);

var start = new ProcessStartInfo(
    "mpirun",
    [
        "--oversubscribe", "--bind-to", "none", "-n", $"{Ranks}",
        "dotnet", Path.Combine(AppContext.BaseDirectory, "DataParallel.dll"), "rank", shared,
    ]);
// One thread for each rank, if two share two cores. Open MPI refuses to run as root, which containers do.
start.Environment["OMP_NUM_THREADS"] = $"{Math.Max(1, Environment.ProcessorCount / Ranks)}";
start.Environment["OMPI_ALLOW_RUN_AS_ROOT"] = start.Environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1";
try
{
    using var mpirun = Process.Start(start)!;
    mpirun.WaitForExit();
    if (mpirun.ExitCode != 0)
        return mpirun.ExitCode;
}
catch (System.ComponentModel.Win32Exception)
{
    Console.Error.WriteLine("mpirun was not found. Install Open MPI (package openmpi-bin on Debian and Ubuntu).");
    return 1;
}
Compare(alone, shared);
return 0;

static void Train(DataParallel? parallel, string file)
{
    var context = new MLContext(seed: 1);
    var data = IdxFolder.FashionMnist.LoadTrainingSet(context);
    using var classifier = context.Transforms.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
    {
        DataParallel = parallel,
        Architecture = Architecture.Mlp.WithHiddenSizes(500, 500),
        BatchSize = 128,
        Epochs = 10,
    }).Fit(data);
    // Every rank has the same model; one of them saves it.
    if (parallel is null or { Rank: 0 })
        context.Model.Save(classifier, data.Schema, file);
}

static void Compare(string alone, string shared)
{
    var context = new MLContext();
    var test = IdxFolder.FashionMnist.LoadTestSet(context);
    using var one = (FloodedImageClassificationTransformer)context.Model.Load(alone, out _);
    using var two = (FloodedImageClassificationTransformer)context.Model.Load(shared, out _);
    Console.WriteLine();
    Console.WriteLine($"              1 process                      {Ranks} processes");
    Console.WriteLine("Epoch  train loss  val. loss  images/s  train loss  val. loss  images/s");
    foreach (var (a, b) in one.History.Epochs.Zip(two.History.Epochs))
        Console.WriteLine(
            $"{a.Epoch,5}  {a.TrainingLoss,10:0.0000}  {a.ValidationLoss,9:0.0000}  {a.ImagesPerSecond,8:n0}  "
            + $"{b.TrainingLoss,10:0.0000}  {b.ValidationLoss,9:0.0000}  {b.ImagesPerSecond,8:n0}");
    Console.WriteLine($"Test accuracy: {Accuracy(one):P1} and {Accuracy(two):P1}.");

    double Accuracy(ITransformer model) => context.MulticlassClassification.Evaluate(model.Transform(test)).MicroAccuracy;
}
