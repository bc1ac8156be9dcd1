using System.CommandLine;
using System.Diagnostics;
using System.Reflection;
using BringYourOwnModel;
using Microsoft.ML;
using Microsoft.ML.Flooding;
using Spectre.Console;

var script = new Option<FileInfo>("--script") { Description = "A TorchScript file for grey images and ten classes; without it the one that is embedded." };
var size = new Option<int>("--size") { Description = "The side of the images that the script takes.", DefaultValueFactory = _ => 28 };
var epochs = new Option<int>("--epochs") { Description = "Passes over the training images.", DefaultValueFactory = _ => 15 };
var output = new Option<DirectoryInfo>("--output") { Description = "Where the models are written.", DefaultValueFactory = _ => new DirectoryInfo("artifacts/own-model") };
script.AcceptExistingOnly();

var command = new RootCommand("Trains networks that the library does not have, flooded: one of C#, one of TorchScript.") { script, size, epochs, output };
command.SetAction(arguments => Run(
    arguments.GetValue(script), arguments.GetRequiredValue(size), arguments.GetRequiredValue(epochs), arguments.GetRequiredValue(output)));
return command.Parse(args).Invoke();

static void Run(FileInfo? script, int size, int epochs, DirectoryInfo output)
{
    output.Create();
    // A program that loads the model has to call this as well, before: the .zip holds the name and the weights.
    var own = Architecture.FromFactory("two-scales", (classes, channels) => new OwnNetwork(classes, channels));
    Train("a module of C#", own, epochs, Path.Combine(output.FullName, "factory.zip"));

    var file = script?.FullName ?? Unpack("small.pt", output);
    // The .zip holds the script itself. Only run scripts from sources you trust.
    var scripted = Architecture.FromTorchScript(file, size, mean: [0.286f], deviation: [0.353f]);
    Train(Path.GetFileName(file), scripted, epochs, Path.Combine(output.FullName, "torchscript.zip"));
}

static void Train(string name, Architecture architecture, int epochs, string file)
{
    var watch = Stopwatch.StartNew();
    var context = new MLContext(seed: 1);
    var train = FashionMnist.Train(context);
    var options = new FloodedImageClassificationTrainer.Options { Architecture = architecture, FloodLevel = 0.2f, Epochs = epochs };
    using (var model = context.Transforms.FloodedImageClassification(options).Fit(train))
    {
        context.Model.Save(model, train.Schema, file);
        var last = model.History.Epochs[^1];
        AnsiConsole.MarkupLineInterpolated($"[bold]{name}[/]: training loss {last.TrainingLoss:0.000} at b = {model.FloodLevel} after {epochs} epochs, {watch.Elapsed.TotalSeconds:0} seconds");
    }

    var elsewhere = new MLContext();
    var loaded = elsewhere.Model.Load(file, out _);
    var metrics = elsewhere.MulticlassClassification.Evaluate(loaded.Transform(FashionMnist.Test(elsewhere)));
    AnsiConsole.MarkupLineInterpolated($"  loaded from {file}: test accuracy {metrics.MicroAccuracy:P1}, log-loss {metrics.LogLoss:0.000}");
    (loaded as IDisposable)?.Dispose();
}

static string Unpack(string resource, DirectoryInfo folder)
{
    var path = Path.Combine(folder.FullName, resource);
    using var content = Assembly.GetExecutingAssembly().GetManifestResourceStream(resource)!;
    using var file = File.Create(path);
    content.CopyTo(file);
    return path;
}
