using System.CommandLine;
using System.Diagnostics;
using BringYourOwnModel;
using Common;
using Microsoft.ML;
using Microsoft.ML.Flooding;
using Spectre.Console;

var script = new Option<FileInfo>("--script")
{
    Description = "A TorchScript file that takes gray images and gives ten classes. Default: the small network of this sample.",
};
var size = new Option<int>("--size")
{
    Description = "Width and height, in pixels, of the images that the script takes.",
    DefaultValueFactory = _ => 28,
};
var epochs = new Option<int>("--epochs") { Description = "Passes over the training images.", DefaultValueFactory = _ => 15 };
var output = new Option<DirectoryInfo>("--output")
{
    Description = "The folder for the saved models.",
    DefaultValueFactory = _ => new DirectoryInfo("artifacts/own-model"),
};
script.AcceptExistingOnly();
size.AcceptAtLeast(1);
epochs.AcceptAtLeast(1);

var command = new RootCommand("Trains two networks that are not part of the library, with flooding: one in C#, one in TorchScript.")
{
    script, size, epochs, output,
};
command.SetAction(arguments => Run(
    arguments.GetValue(script), arguments.GetRequiredValue(size), arguments.GetRequiredValue(epochs), arguments.GetRequiredValue(output)));
return command.Parse(args).Invoke();

static void Run(FileInfo? script, int size, int epochs, DirectoryInfo output)
{
    output.Create();

    // A program that loads the model must make this call first: the .zip holds only the name and the weights.
    var own = Architecture.FromFactory("two-scales", (classes, channels) => new OwnNetwork(classes, channels));
    Train("a C# module", own, epochs, Path.Combine(output.FullName, "factory.zip"));

    // The .zip holds the script itself. Only run scripts from sources you trust.
    var file = script?.FullName ?? Path.Combine(AppContext.BaseDirectory, "small.pt");
    var scripted = Architecture.FromTorchScript(file, size, mean: [0.286f], deviation: [0.353f]);
    Train(Path.GetFileName(file), scripted, epochs, Path.Combine(output.FullName, "torchscript.zip"));
}

static void Train(string name, Architecture architecture, int epochs, string file)
{
    var watch = Stopwatch.StartNew();
    var context = new MLContext(seed: 1);
    var train = IdxFolder.FashionMnist.LoadTrainingSet(context);
    var options = new FloodedImageClassificationTrainer.Options { Architecture = architecture, FloodLevel = 0.2f, Epochs = epochs };
    using (var model = context.Transforms.FloodedImageClassification(options).Fit(train))
    {
        context.Model.Save(model, train.Schema, file);
        var last = model.History.Epochs[^1];
        AnsiConsole.MarkupLineInterpolated($"[bold]{name}[/]: trained in {watch.Elapsed.TotalSeconds:0.0} s");
        AnsiConsole.MarkupLineInterpolated($"  epoch {last.Epoch}: training loss {last.TrainingLoss:0.000} at b = {model.FloodLevel}");
    }

    // A model can be loaded into another context, as in another program.
    var other = new MLContext();
    var loaded = other.Model.Load(file, out _);
    var metrics = other.MulticlassClassification.Evaluate(loaded.Transform(IdxFolder.FashionMnist.LoadTestSet(other)));
    AnsiConsole.MarkupLineInterpolated($"  loaded from {file}");
    AnsiConsole.MarkupLineInterpolated($"  test accuracy {metrics.MicroAccuracy:P1}, log-loss {metrics.LogLoss:0.000}");
    (loaded as IDisposable)?.Dispose();
}
