using System.CommandLine;
using System.Globalization;
using Common;
using Spectre.Console;

namespace Microsoft.ML.Flooding.Benchmarks.Photos;

/// <summary>`bench photos`: what a user of ML.NET gets from a folder of photos, and what this library makes of it.</summary>
internal static class PhotosCommand
{
    private const string AllPhotos = "all";

    /// <summary>Runs the command and returns its exit code.</summary>
    public static int Run(string[] args) => Create().Parse(args).Invoke();

    private static System.CommandLine.Command Create()
    {
        var sets = new Argument<FileSystemInfo[]>("SET")
        {
            Description = "Folders or .zip files with a folder for each class, in train/ and test/ or directly. In the latter case, a "
                + "stratified fifth is the test set.",
            Arity = ArgumentArity.OneOrMore,
        };
        var seeds = new Option<int>("--seeds")
        {
            Description = "Runs of each method. Each draws its own photos, wrong labels and initial weights.",
            DefaultValueFactory = _ => 5,
        };
        var perClass = new Option<string>("--per-class")
        {
            Description = "Numbers of training photos of each class, separated by commas.",
            DefaultValueFactory = _ => "10,25,all",
        };
        var noise = new Option<string>("--noise")
        {
            Description = "Shares of wrong training labels, in [0, 1), separated by commas.",
            DefaultValueFactory = _ => "0,0.2",
        };
        var only = new Option<string>("--only")
        {
            Description = $"The methods, separated by commas: {string.Join(", ", PhotoMethod.All.Select(m => m.Name))}.",
            DefaultValueFactory = _ => string.Join(',', PhotoMethod.All.Select(m => m.Name)),
        };
        sets.AcceptExistingOnly();
        seeds.AcceptAtLeast(1);
        AcceptList(
            perClass, text => text == AllPhotos || (TryParse(text, out int count) && count > 0), $"whole numbers above 0, or {AllPhotos}");
        AcceptList(noise, text => TryParse(text, out double share) && share is >= 0 and < 1, "numbers in [0, 1)");
        AcceptList(only, text => PhotoMethod.All.Any(m => m.Name == text), "names of methods; --help lists them");

        var command = new System.CommandLine.Command(
            "photos", "Trains on photos with ML.NET's featurizer and with this library, and tests the models.")
        {
            sets, seeds, perClass, noise, only,
        };
        command.SetAction(arguments =>
        {
            var methods = Split(arguments.GetRequiredValue(only)).Select(name => PhotoMethod.All.Single(m => m.Name == name)).ToArray();
            foreach (var source in arguments.GetRequiredValue(sets))
            {
                using var photos = PhotoSet.Open(source);
                foreach (var count in Split(arguments.GetRequiredValue(perClass)))
                    foreach (var share in Split(arguments.GetRequiredValue(noise)))
                        Measure(photos, methods, TryParse(count, out int n) ? n : null, double.Parse(share, CultureInfo.InvariantCulture),
                            arguments.GetRequiredValue(seeds));
            }
        });
        return command;
    }

    private static void Measure(PhotoSet photos, IReadOnlyList<PhotoMethod> methods, int? perClass, double noise, int seeds)
    {
        var training = perClass is { } n ? $"{n} photos of each class" : "all photos";
        var table = new SeedTable(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{photos.Name}, {training}, {noise:P0} wrong labels, {photos.Test.Count} test photos"),
            ("test accuracy, %", "0.0"), ("test log-loss", "0.00"), ("training, s", "0"), ("training + test, s", "0"),
            ("peak memory, MB", "0"));
        for (var seed = 1; seed <= seeds; seed++)
        {
            var drawn = photos.Draw(perClass, noise, seed);
            foreach (var method in methods)
            {
                var figures = method.Measure(drawn, photos.Test, seed);
                Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{photos.Name}, {drawn.Count} photos, {noise:P0} wrong, seed {seed}, {method.Name}: {figures}"));
                table.Add(
                    method.Description, figures.Accuracy * 100, figures.LogLoss, figures.TrainingSeconds, figures.Seconds,
                    figures.Bytes / 1e6);
            }
        }
        AnsiConsole.Profile.Width = Math.Max(AnsiConsole.Profile.Width, 160);
        AnsiConsole.Write(table.ToTable());
    }

    private static void AcceptList(Option<string> option, Predicate<string> isValid, string what) => option.Validators.Add(result =>
    {
        if (result.Tokens is [var token] && Split(token.Value).FirstOrDefault(text => !isValid(text)) is { } wrong)
            result.AddError($"{option.Name} contains '{wrong}'. Give {what}, separated by commas.");
    });

    private static string[] Split(string list) => list.Split(',', StringSplitOptions.TrimEntries);

    private static bool TryParse<T>(string text, out T? value) where T : IParsable<T> =>
        T.TryParse(text, CultureInfo.InvariantCulture, out value);
}
