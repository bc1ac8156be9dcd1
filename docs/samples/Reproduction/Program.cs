using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Reproduction;
using Spectre.Console;

var data = new Option<DirectoryInfo?>("--data")
{
    Description = "A folder with the four IDX files of MNIST, Kuzushiji-MNIST or Fashion-MNIST; without it a sample of the last, 2,000 + 1,000."
};
var cifar = new Option<DirectoryInfo?>("--cifar") { Description = "A folder with CIFAR-10 as JPEG files in train/CLASS and test/CLASS; without it CIFAR-10 is left out." };
var seeds = new Option<int>("--seeds") { Description = "Runs of each kind; mean and spread are shown.", DefaultValueFactory = _ => 3 };
var full = new Option<bool>("--full") { Description = "The paper's settings, for a GPU." };
var parts = new Option<string[]>("--only") { Description = "Of: fashion, family, synthetic, cifar. All but family by default.", AllowMultipleArgumentsPerToken = true };
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
    var chosen = arguments.GetValue(parts) is { Length: > 0 } only ? only : ["synthetic", "fashion", "cifar"];
    Run(arguments.GetValue(data), arguments.GetValue(cifar)?.FullName, arguments.GetRequiredValue(seeds), scale, chosen, arguments.GetRequiredValue(output));
});
return command.Parse(args).Invoke();

static void Run(DirectoryInfo? idx, string? cifar, int seeds, Scale scale, IReadOnlyCollection<string> parts, FileInfo output)
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

    var scratch = Directory.CreateTempSubdirectory("flooding-reproduction-");
    try
    {
        Reproduction.Task Idx(double noise) => ImageTasks.Idx(
            idx?.Name ?? "Fashion-MNIST, 2,000 images", idx?.FullName ?? Path.Combine(AppContext.BaseDirectory, "data"),
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
            Add(study.Compare(ImageTasks.Cifar10(cifar, scale), scale.Methods));
    }
    finally
    {
        scratch.Delete(recursive: true);
    }
    Add($"{seeds} seeds; {RuntimeInformation.ProcessArchitecture}, {Environment.ProcessorCount} cores; {watch.Elapsed:hh\\:mm\\:ss} in all.\n");
    AnsiConsole.MarkupLineInterpolated($"The tables are in {output.FullName}.");
}
