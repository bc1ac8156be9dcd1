using System.CommandLine;
using System.Diagnostics;
using Common;
using FashionMnist;
using Microsoft.ML;
using Spectre.Console;

var epochs = new Option<int>("--epochs") { Description = "Passes over the training images in each run.", DefaultValueFactory = _ => 30 };
var seeds = new Option<int>("--seeds")
{
    Description = "Runs of each method. The tables show their mean and standard deviation.",
    DefaultValueFactory = _ => 3,
};
var output = new Option<DirectoryInfo>("--output")
{
    Description = "The folder for the model, the report of its training and the flipped labels.",
    DefaultValueFactory = _ => new DirectoryInfo("artifacts/fashion-mnist"),
};
epochs.AcceptAtLeast(1);
seeds.AcceptAtLeast(1);

var command = new RootCommand(
    "Trains an image classifier on Fashion-MNIST in four ways, finds wrong labels, saves a model, loads it, and predicts.")
{
    epochs, seeds, output,
};
command.SetAction(arguments =>
    Run(arguments.GetRequiredValue(epochs), arguments.GetRequiredValue(seeds), arguments.GetRequiredValue(output)));
return command.Parse(args).Invoke();

static void Run(int epochs, int seeds, DirectoryInfo output)
{
    var watch = Stopwatch.StartNew();
    output.Create();
    var context = new MLContext();
    var clean = Images.Load(context);
    var flippedLabels = Path.Combine(output.FullName, "train-labels-flipped-idx1-ubyte");
    Images.FlipTrainingLabels(flippedLabels, share: 0.2);
    var flipped = Images.Load(context, flippedLabels);

    AnsiConsole.MarkupLine(
        "Fashion-MNIST: 1,800 images for training, 200 for the best epoch, 1,000 for testing. "
        + $"A perceptron (784-500-500-10), {epochs} epochs, {seeds} seed{(seeds == 1 ? "" : "s")} for each method.");
    var comparison = new Comparison(epochs, seeds);
    Setting[] settings =
    [
        new("clean labels", clean, FloodLevel: 0.2f),
        new("20 % of the training labels flipped", flipped, FloodLevel: 0.5f),
    ];
    foreach (var table in comparison.Run(settings))
        AnsiConsole.Write(table);

    WrongLabels.Find(flipped.Train, clean.Train, epochs, Path.Combine(output.FullName, "label-issues.html"));
    var file = Path.Combine(output.FullName, "model.zip");
    var report = Path.Combine(output.FullName, "report.html");
    SavedModel.Train(settings[0], epochs, file, report);
    SavedModel.Predict(file, clean.Test);
    AnsiConsole.MarkupLineInterpolated($"[bold]The model:[/]          {file}");
    AnsiConsole.MarkupLineInterpolated($"[bold]Its training:[/]       {report}");
    AnsiConsole.MarkupLineInterpolated($"[bold]The flipped labels:[/] {flippedLabels}");
    AnsiConsole.MarkupLineInterpolated(
        $"Done in {watch.Elapsed.TotalSeconds:0} seconds. Training processed {comparison.ImagesPerSecond:N0} images per second.");
}
