using System.CommandLine;
using System.Diagnostics;
using FashionMnist;
using Microsoft.ML;
using Spectre.Console;

var epochs = new Option<int>("--epochs") { Description = "Passes over the training images in each run.", DefaultValueFactory = _ => 60 };
var seeds = new Option<int>("--seeds") { Description = "Runs of each kind; their mean and spread are shown.", DefaultValueFactory = _ => 3 };
var output = new Option<DirectoryInfo>("--output")
{
    Description = "Where the model and the flipped labels are written.",
    DefaultValueFactory = _ => new DirectoryInfo("artifacts/fashion-mnist"),
};
foreach (var option in new[] { epochs, seeds })
    option.Validators.Add(result =>
    {
        if (result.GetValueOrDefault<int>() < 1)
            result.AddError($"{result.Option.Name} must be at least 1.");
    });

var command = new RootCommand("Trains an image classifier on Fashion-MNIST with and without flooding, saves it, loads it and predicts.")
{
    epochs, seeds, output,
};
command.SetAction(arguments => Run(arguments.GetRequiredValue(epochs), arguments.GetRequiredValue(seeds), arguments.GetRequiredValue(output)));
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
        "Fashion-MNIST: 1,800 images to train on, 200 held out for early stopping, 1,000 to test on. " +
        $"A perceptron (784-500-500-10), {epochs} epochs, {seeds} seed{(seeds == 1 ? "" : "s")} of each run.");
    var comparison = new Comparison(epochs, seeds);
    comparison.Run([
        new Setting("clean labels", clean, FloodLevel: 0.2f),
        new Setting("20 % flipped", flipped, FloodLevel: 0.5f),
    ]);
    AnsiConsole.Write(comparison.ToTable());

    var file = Path.Combine(output.FullName, "model.zip");
    SavedModel.Train(clean, epochs, file);
    SavedModel.Predict(file, clean.Test);
    AnsiConsole.MarkupLineInterpolated($"[bold]The model:[/]          {file}");
    AnsiConsole.MarkupLineInterpolated($"[bold]The flipped labels:[/] {flippedLabels}");
    AnsiConsole.MarkupLineInterpolated($"Done in {watch.Elapsed.TotalSeconds:0} seconds; training ran at {comparison.ImagesPerSecond:N0} images a second.");
}
