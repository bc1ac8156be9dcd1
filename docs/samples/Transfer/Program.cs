using System.CommandLine;
using System.Diagnostics;
using Common;
using Spectre.Console;
using Transfer;

var seeds = new Option<int>("--seeds")
{
    Description = "Runs of each method. The tables show their mean and standard deviation.",
    DefaultValueFactory = _ => 5,
};
var images = new Option<int>("--images") { Description = "Training images of each new class.", DefaultValueFactory = _ => 50 };
var classes = new Option<string[]>("--classes")
{
    Description = "The two new classes.",
    Arity = new ArgumentArity(2, 2),
    AllowMultipleArgumentsPerToken = true,
};
var cifar = new Option<DirectoryInfo>("--cifar")
{
    Description = "A folder with CIFAR-10 as JPEG files in train/CLASS and test/CLASS. "
        + "Default: 2,000 training and 1,000 test images of Fashion-MNIST.",
};
var perClass = new Option<int>("--per-class") { Description = "Images of each class of CIFAR-10.", DefaultValueFactory = _ => 500 };
var output = new Option<DirectoryInfo>("--output")
{
    Description = "The folder for the pretrained weights and a model of all ten classes.",
    DefaultValueFactory = _ => new DirectoryInfo("artifacts/transfer"),
};
seeds.AcceptAtLeast(1);
images.AcceptAtLeast(1);
cifar.AcceptExistingOnly();
perClass.AcceptAtLeast(1);

var command = new RootCommand("Learns two classes from a few images, with and without weights pretrained on eight other classes.")
{
    seeds, images, classes, cifar, perClass, output,
};
command.SetAction(arguments =>
{
    // The default classes are similar: transfer cannot help with classes that are easy to tell apart.
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
    var oldImages = set.Train.Count(p => !set.IsNew(p));
    AnsiConsole.MarkupLineInterpolated(
        $"{set.Name}: {set.Network} trains on eight classes ({oldImages:N0} images), then on the other two ({imagesPerClass} each).");
    AnsiConsole.MarkupLineInterpolated($"The test set has {set.Test.Count(set.IsNew)} images of the two classes.");
    using var study = new Study(set, imagesPerClass, weights, onnx);
    for (var seed = 1; seed <= seeds; seed++)
        study.Run(seed);
    AnsiConsole.Write(study.TwoClasses.ToTable());
    AnsiConsole.Write(study.TenClasses.ToTable());
    AnsiConsole.MarkupLineInterpolated($"[bold]The pretrained weights:[/] {weights}");
    AnsiConsole.MarkupLineInterpolated($"[bold]A model of all ten:[/]     {onnx}, for docs/samples/OnnxScoring");
    AnsiConsole.MarkupLineInterpolated($"Done in {watch.Elapsed.TotalSeconds:0} seconds.");
}
