using System.CommandLine;
using System.Diagnostics;
using Spectre.Console;
using Transfer;

var seeds = new Option<int>("--seeds") { Description = "Runs of each kind; their mean and spread are shown.", DefaultValueFactory = _ => 5 };
var images = new Option<int>("--images") { Description = "Training images of each new class.", DefaultValueFactory = _ => 50 };
var classes = new Option<string[]>("--classes") { Description = "The two new classes.", Arity = new ArgumentArity(2, 2), AllowMultipleArgumentsPerToken = true };
var cifar = new Option<DirectoryInfo?>("--cifar") { Description = "A folder with CIFAR-10 as JPEG files in train/CLASS and test/CLASS; without it Fashion-MNIST's sample is used." };
var perClass = new Option<int>("--per-class") { Description = "Images of each class of CIFAR-10.", DefaultValueFactory = _ => 500 };
var output = new Option<DirectoryInfo>("--output") { Description = "Where the pretrained weights and a model of all ten classes are written.", DefaultValueFactory = _ => new DirectoryInfo("artifacts/transfer") };
foreach (var option in new[] { seeds, images, perClass })
    option.Validators.Add(result =>
    {
        if (result.GetValueOrDefault<int>() < 1)
            result.AddError($"{result.Option.Name} must be at least 1.");
    });

var command = new RootCommand("Learns two classes of images from few of them, with and without weights that eight others trained.") { seeds, images, classes, cifar, perClass, output };
command.SetAction(arguments =>
{
    // By default classes that are alike: where nothing is left to learn, transfer cannot show.
    var pair = arguments.GetValue(classes) is [var first, var second] ? [first, second] : Array.Empty<string>();
    var set = arguments.GetValue(cifar) is { } folder
        ? PictureSet.Cifar10(folder, arguments.GetRequiredValue(perClass), pair is [] ? ["automobile", "truck"] : pair)
        : PictureSet.FashionMnist(pair is [] ? ["T-shirt/top", "Shirt"] : pair);
    Run(set, arguments.GetRequiredValue(seeds), arguments.GetRequiredValue(images), arguments.GetRequiredValue(output));
});
return command.Parse(args).Invoke();

static void Run(PictureSet set, int seeds, int imagesPerClass, DirectoryInfo output)
{
    var watch = Stopwatch.StartNew();
    output.Create();
    var weights = Path.Combine(output.FullName, "eight-classes.safetensors");
    var onnx = Path.Combine(output.FullName, "ten-classes.onnx");
    AnsiConsole.MarkupLineInterpolated(
        $"{set.Name}: {set.Network} is trained on eight classes ({set.Train.Count(p => !set.IsNew(p)):N0} images), then on the other two with {imagesPerClass} images each; {set.Test.Count(set.IsNew)} images of the two test it.");
    using var study = new Study(set, imagesPerClass, weights, onnx);
    for (var seed = 1; seed <= seeds; seed++)
        study.Run(seed);
    AnsiConsole.Write(study.ToTable());
    AnsiConsole.Write(study.ToTableOfTen());
    AnsiConsole.MarkupLineInterpolated($"[bold]The pretrained weights:[/] {weights}");
    AnsiConsole.MarkupLineInterpolated($"[bold]A model of all ten:[/]     {onnx}, for docs/samples/OnnxScoring");
    AnsiConsole.MarkupLineInterpolated($"Done in {watch.Elapsed.TotalSeconds:0} seconds.");
}
