using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Common;
using Reproduction;
using Spectre.Console;

var data = new Option<DirectoryInfo>("--data")
{
    Description = "A folder with the four IDX files of MNIST, Kuzushiji-MNIST or Fashion-MNIST. "
        + "Default: 2,000 training and 1,000 test images of Fashion-MNIST.",
};
var cifar = new Option<DirectoryInfo>("--cifar")
{
    Description = "A folder with CIFAR-10 as JPEG files in train/CLASS and test/CLASS. Default: no runs on CIFAR-10.",
};
var seeds = new Option<int>("--seeds")
{
    Description = "Runs of each method. The tables show their mean and standard deviation.",
    DefaultValueFactory = _ => 3,
};
var full = new Option<bool>("--full") { Description = "Use the paper's settings. They need a GPU." };
var parts = new Option<string[]>("--only")
{
    Description = "The parts to run: fashion, family, synthetic, cifar. Default: all but family.",
    AllowMultipleArgumentsPerToken = true,
};
var epochs = new Option<int?>("--epochs") { Description = "Epochs of every run, for a quick test of the command." };
var output = new Option<FileInfo>("--output")
{
    Description = "The Markdown file for the tables.",
    DefaultValueFactory = _ => new FileInfo("artifacts/reproduction.md"),
};
data.AcceptExistingOnly();
cifar.AcceptExistingOnly();
seeds.AcceptAtLeast(1);
parts.AcceptOnlyFromAmong("fashion", "family", "synthetic", "cifar");
epochs.AcceptAtLeast(1);

var command = new RootCommand("Compares training with and without flooding and prints the tables of docs/reproduction.md.")
{
    data, cifar, seeds, full, parts, epochs, output,
};
command.SetAction(arguments =>
{
    var scale = arguments.GetValue(full) ? Scale.Full : Scale.Small;
    if (arguments.GetValue(epochs) is { } given)
        scale = scale with { Epochs = given, SyntheticEpochs = given };
    var chosen = arguments.GetValue(parts) is { Length: > 0 } only ? only : ["synthetic", "fashion", "cifar"];
    Run(
        arguments.GetValue(data), arguments.GetValue(cifar), arguments.GetRequiredValue(seeds), scale, chosen,
        arguments.GetRequiredValue(output));
});
return command.Parse(args).Invoke();

static void Run(
    DirectoryInfo? idx, DirectoryInfo? cifar, int seeds, Scale scale, IReadOnlyCollection<string> parts, FileInfo output)
{
    // The report does not depend on the culture of the machine.
    CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
    var watch = Stopwatch.StartNew();
    var study = new Study(seeds, step => AnsiConsole.MarkupLineInterpolated($"[grey]{watch.Elapsed:hh\\:mm\\:ss}[/] {step}"));
    var tables = new StringBuilder();
    output.Directory!.Create();
    void Add(string table)
    {
        tables.Append(table);
        AnsiConsole.WriteLine(table);

        // The file is written after each table, so an interrupted run keeps its tables.
        File.WriteAllText(output.FullName, tables.ToString());
    }

    var scratch = Directory.CreateTempSubdirectory("flooding-reproduction-");
    try
    {
        Reproduction.Task Idx(double noise) => ImageTasks.Idx(
            idx?.Name ?? "Fashion-MNIST, 2,000 images", idx is null ? IdxFolder.FashionMnist : new IdxFolder(idx.FullName),
            noise, scratch, scale);
        if (parts.Contains("synthetic"))
            foreach (var task in SyntheticSets.All(scale))
                Add(study.Compare(task, scale.Methods));
        if (parts.Contains("fashion"))
            foreach (var noise in new[] { 0, 0.2 })
                Add(study.Compare(Idx(noise), scale.Methods));
        if (parts.Contains("family"))
        {
            Add(study.CompareFamily(Idx(0), 0.2f));
            Add(study.CompareFamily(Idx(0.2), 0.5f));
        }
        if (parts.Contains("cifar") && cifar is not null)
            Add(study.Compare(ImageTasks.Cifar10(cifar.FullName, scale), scale.Methods));
    }
    finally
    {
        scratch.Delete(recursive: true);
    }
    var machine = $"{RuntimeInformation.ProcessArchitecture}, {Environment.ProcessorCount} cores";
    Add($"{seeds} seed{(seeds == 1 ? "" : "s")}; {machine}; {watch.Elapsed:hh\\:mm\\:ss} in total.\n");
    AnsiConsole.MarkupLineInterpolated($"The tables are in {output.FullName}.");
}
