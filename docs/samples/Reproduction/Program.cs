using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Reproduction;
using Spectre.Console;

var data = new Option<DirectoryInfo?>("--data") { Description = "A folder with the four IDX files of Fashion-MNIST; without it the sample of 2,000 + 1,000 images." };
var cifar = new Option<DirectoryInfo?>("--cifar") { Description = "A folder with CIFAR-10 as JPEG files in train/CLASS and test/CLASS; without it CIFAR-10 is left out." };
var seeds = new Option<int>("--seeds") { Description = "Runs of each kind; mean and spread are shown.", DefaultValueFactory = _ => 5 };
var full = new Option<bool>("--full") { Description = "The paper's full-scale settings, for a GPU." };
var parts = new Option<string[]>("--only") { Description = "Of: fashion, family, synthetic, cifar. All by default.", AllowMultipleArgumentsPerToken = true };
var epochs = new Option<int?>("--epochs") { Description = "Epochs of every run, to try the command out." };
var output = new Option<FileInfo>("--output") { Description = "The Markdown file that the tables go to.", DefaultValueFactory = _ => new FileInfo("artifacts/reproduction.md") };
parts.AcceptOnlyFromAmong("fashion", "family", "synthetic", "cifar");
seeds.Validators.Add(result =>
{
    if (result.GetValueOrDefault<int>() < 1)
        result.AddError("--seeds must be at least 1.");
});

var command = new RootCommand("Compares training with and without flooding; prints the tables of docs/reproduction.md.") { data, cifar, seeds, full, parts, epochs, output };
command.SetAction(arguments =>
{
    var scale = arguments.GetValue(full) ? Scale.Full : Scale.Small;
    if (arguments.GetValue(epochs) is { } given)
        scale = scale with { Epochs = given, SyntheticEpochs = given };
    var chosen = arguments.GetValue(parts) is { Length: > 0 } only ? only : ["fashion", "family", "synthetic", "cifar"];
    var folder = arguments.GetValue(data)?.FullName ?? Path.Combine(AppContext.BaseDirectory, "data");
    Run(folder, arguments.GetValue(cifar)?.FullName, arguments.GetRequiredValue(seeds), scale, chosen, arguments.GetRequiredValue(output));
});
return command.Parse(args).Invoke();

static void Run(string fashionMnist, string? cifar, int seeds, Scale scale, IReadOnlyCollection<string> parts, FileInfo output)
{
    // The report is written in one culture, whatever the machine's.
    CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
    var watch = Stopwatch.StartNew();
    var study = new Study(seeds, step => AnsiConsole.MarkupLineInterpolated($"[grey]{watch.Elapsed:hh\\:mm\\:ss}[/] {step}"));
    var tables = new StringBuilder();
    output.Directory!.Create();
    void Add(string table)
    {
        tables.Append(table);
        AnsiConsole.WriteLine(table);
        // After each table, so that a run that is cut short has not run in vain.
        File.WriteAllText(output.FullName, tables.ToString());
    }

    var clean = ImageTasks.FashionMnist(fashionMnist, noise: 0, scale);
    var noisy = ImageTasks.FashionMnist(fashionMnist, noise: 0.2, scale);
    if (parts.Contains("fashion"))
        foreach (var task in new[] { clean, noisy })
            Add(study.Compare(task));
    if (parts.Contains("family"))
    {
        Add(study.CompareFamily(clean, 0.2f));
        Add(study.CompareFamily(noisy, 0.5f));
    }
    if (parts.Contains("synthetic"))
        foreach (var task in SyntheticSets.All(scale))
            Add(study.Compare(task));
    if (parts.Contains("cifar") && cifar is not null)
        Add(study.Compare(ImageTasks.Cifar10(cifar, scale)));
    Add($"{seeds} seeds; {RuntimeInformation.ProcessArchitecture}, {Environment.ProcessorCount} cores; {watch.Elapsed:hh\\:mm\\:ss} in all.\n");
    AnsiConsole.MarkupLineInterpolated($"The tables are in {output.FullName}.");
}
