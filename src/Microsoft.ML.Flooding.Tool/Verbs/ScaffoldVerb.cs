using System.CommandLine;
using Mlflood.Data;
using Mlflood.Scaffolding;
using Mlflood.Terminal;

namespace Mlflood.Verbs;

internal static class ScaffoldVerb
{
    public static Command Create()
    {
        var model = ModelFile.Argument();
        var name = new Option<string>("--name", "-n")
        {
            Description = "The name of the project. Default: that of the model file.",
            HelpName = "NAME",
        };
        var output = new Option<DirectoryInfo>("--output", "-o")
        {
            Description = "The folder of the project. Default: its name.",
            HelpName = "FOLDER",
        };
        var web = new Option<bool>("--web")
        {
            Description = "Write a web service with a pool of prediction engines instead of a console program.",
        };
        var force = new Option<bool>("--force") { Description = "Overwrite existing files." };
        var command = new Command("scaffold", "Writes a C# project that uses a model: training, prediction, evaluation.")
        {
            model, name, output, web, force,
        };
        command.SetAction(result => Run(
            result.GetRequiredValue(model), result.GetValue(name), result.GetValue(output), result.GetValue(web), result.GetValue(force)));
        return HelpWithExamples.WithExamples(
            command, "mlflood scaffold pets.zip", "mlflood scaffold pets.zip --web -o service", "dotnet run --project Pets -- cat.jpg");
    }

    private static int Run(FileInfo model, string? name, DirectoryInfo? output, bool isWeb, bool overwrites)
    {
        var identifier = Project.Identifier(name ?? Path.GetFileNameWithoutExtension(model.Name));
        var folder = output?.FullName ?? Path.GetFullPath(identifier);
        using var file = ModelFile.Load(new MLContext(), model);
        var files = Project.Write(identifier, file.Classifier, isWeb);
        var copy = Path.Combine(folder, identifier + ".zip");
        if (!overwrites && files.Keys.Select(f => Path.Combine(folder, f)).Append(copy).FirstOrDefault(File.Exists) is { } existing)
            throw new Failure($"'{existing}' exists. Choose another --output, or overwrite it with --force.");

        Directory.CreateDirectory(folder);
        foreach (var (path, text) in files)
            File.WriteAllText(Path.Combine(folder, path), text);
        model.CopyTo(copy, overwrites);
        Screen.WriteResult($"Wrote {files.Count} files and the model to {folder}");
        Screen.WriteResult(isWeb
            ? $"Start it: dotnet run --project {Path.GetRelativePath(".", folder)}"
            : $"Try it: dotnet run --project {Path.GetRelativePath(".", folder)} -- IMAGE");
        return ExitCode.Done;
    }
}
