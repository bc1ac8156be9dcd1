using System.CommandLine;
using System.Diagnostics;
using System.Text;
using Common;
using Noise;
using Spectre.Console;

var fashion = new Option<DirectoryInfo>("--fashion") { Description = "A folder with the four IDX files of Fashion-MNIST." };
var cifar = new Option<DirectoryInfo>("--cifar") { Description = "A folder with CIFAR-10 as image files in train/CLASS and test/CLASS." };
var photos = new Option<DirectoryInfo[]>("--photos")
{
    Description = "Folders with photos in train/CLASS and test/CLASS.",
    AllowMultipleArgumentsPerToken = true,
};
var kinds = new Option<string[]>("--noise")
{
    Description = "The kinds of wrong labels: none (0), 20 or 40 % changed to any class, or 20 % changed to one fixed class (pairs).",
    AllowMultipleArgumentsPerToken = true,
    DefaultValueFactory = _ => [.. LabelNoise.All.Select(noise => noise.Key)],
};
var seeds = new Option<int>("--seeds") { Description = "Runs of each method.", DefaultValueFactory = _ => 10 };
var issues = new Option<int>("--issue-seeds")
{
    Description = "Searches for wrong labels, for each kind of noise. 0: none.",
    DefaultValueFactory = _ => 3,
};
var folder = new Option<DirectoryInfo>("--output")
{
    Description = "The folder of the results and the tables. Runs whose results are there are not repeated.",
    DefaultValueFactory = _ => new DirectoryInfo("artifacts/noise"),
};
fashion.AcceptExistingOnly();
cifar.AcceptExistingOnly();
photos.AcceptExistingOnly();
kinds.AcceptOnlyFromAmong([.. LabelNoise.All.Select(noise => noise.Key)]);
seeds.AcceptAtLeast(2);

var command = new RootCommand("Compares training under wrong labels as docs/protocol.md describes and prints the tables.")
{
    fashion, cifar, photos, kinds, seeds, issues, folder,
};
command.SetAction(arguments =>
{
    var output = arguments.GetRequiredValue(folder).FullName;
    List<NoisySet> sets = [];
    if (arguments.GetValue(fashion) is { } idx)
        sets.Add(NoisySet.Idx(new IdxFolder(idx.FullName)));
    if (arguments.GetValue(cifar) is { } images)
        sets.Add(Features("CIFAR-10, features", images, 2000, 1000));
    foreach (var photo in arguments.GetValue(photos) ?? [])
        sets.Add(Features($"{photo.Name}, features", photo, int.MaxValue, int.MaxValue));
    if (sets.Count == 0)
    {
        AnsiConsole.WriteLine("Give at least one data set: --fashion, --cifar or --photos.");
        return 2;
    }

    var watch = Stopwatch.StartNew();
    void Progress(string step) => AnsiConsole.MarkupLineInterpolated($"[grey]{watch.Elapsed:hh\\:mm\\:ss}[/] {step}");
    LabelNoise[] noises = [.. LabelNoise.All.Where(noise => arguments.GetRequiredValue(kinds).Contains(noise.Key))];
    var comparison = new Comparison(
        new Results(Path.Combine(output, "results.csv")), noises, arguments.GetRequiredValue(seeds), Progress);
    var tables = new StringBuilder();
    foreach (var noise in noises)
        foreach (var set in sets)
            comparison.Train(set, noise);
    foreach (var set in sets)
        tables.Append(comparison.Table(set));
    tables.Append(comparison.Differences()).Append('\n');
    if (arguments.GetRequiredValue(issues) is > 0 and var searches)
        foreach (var set in sets)
            tables.Append(WrongLabels.Table(set, noises, searches, Progress));
    AnsiConsole.WriteLine(tables.ToString());
    File.WriteAllText(Path.Combine(output, "tables.md"), tables.ToString());
    return 0;

    NoisySet Features(string name, DirectoryInfo parts, int train, int test) => NoisySet.Features(
        name, Part(parts, "train", train), Part(parts, "test", test));

    Example[] Part(DirectoryInfo parts, string part, int count) => FrozenFeatures.Of(
        new DirectoryInfo(Path.Combine(parts.FullName, part)), count, Path.Combine(output, $"{parts.Name}-{part}.features"));
});
return command.Parse(args).Invoke();
