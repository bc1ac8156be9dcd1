using System.CommandLine;
using System.Globalization;
using Mlflood.Terminal;
using Spectre.Console;

namespace Mlflood.Verbs;

internal static class WeightsVerb
{
    /// <summary>The listed weights by the names of their properties, such as "ResNet18".</summary>
    private static readonly Dictionary<string, PretrainedModel> Models = typeof(PretrainedModels).GetProperties()
        .Where(property => property.PropertyType == typeof(PretrainedModel))
        .ToDictionary(property => property.Name, property => (PretrainedModel)property.GetValue(null)!, StringComparer.OrdinalIgnoreCase);

    public static Command Create()
    {
        var list = new Command("list", "Lists the weights and where they are.");
        list.SetAction(_ => List());

        var name = new Argument<string>("NAME") { Description = "The name of the weights." };
        name.AcceptOnlyFromAmong(StringComparer.OrdinalIgnoreCase, [.. Models.Keys]);
        var folder = new Option<DirectoryInfo>("--folder")
        {
            Description = "The folder. Default: the cache, where train looks.",
            HelpName = "FOLDER",
        };
        var mirror = Downloads.MirrorOption();
        var get = new Command("get", "Downloads weights and checks them. An interrupted download continues.") { name, folder, mirror };
        get.SetAction(result => Get(result.GetRequiredValue(name), result.GetValue(folder), result.GetValue(mirror)));
        HelpWithExamples.WithExamples(get, "mlflood weights get ResNet18");
        return new Command("weights", "Lists and downloads weights trained on ImageNet, to start training from.") { list, get };
    }

    /// <summary>
    /// Weights are given by a path or by a name of the list. The network of listed weights is chosen if the user chose none.
    /// </summary>
    /// <exception cref="Failure">There are no such weights.</exception>
    public static void Resolve(FloodedImageClassificationTrainer.Options options)
    {
        if (options.PretrainedWeights is not { } given || File.Exists(given))
            return;
        if (!Models.TryGetValue(given, out var model))
            throw new Failure(
                $"The weights '{given}' are neither a file nor one of {string.Join(", ", Models.Keys)}. Give one of these.");
        var path = Path.Combine(PretrainedModels.DefaultFolder, model.FileName);
        if (!File.Exists(path))
            throw new Failure(
                $"The weights {given} are not in the cache. Run 'mlflood weights get {given}', or copy the file to '{path}'.");
        options.PretrainedWeights = path;
        if (options.Architecture == Architecture.Auto)
            options.Architecture = model.Architecture;
    }

    private static int List()
    {
        var table = new Table { Border = TableBorder.Rounded };
        table.AddColumn("name").AddColumn(new TableColumn("MB").RightAligned())
            .AddColumn(new TableColumn("ImageNet accuracy").RightAligned()).AddColumn("in the cache");
        foreach (var (name, model) in Models)
        {
            var isThere = File.Exists(Path.Combine(PretrainedModels.DefaultFolder, model.FileName));
            table.AddRow(
                name, string.Create(CultureInfo.InvariantCulture, $"{model.Bytes / 1e6:0}"),
                string.Create(CultureInfo.InvariantCulture, $"{model.ImageNetAccuracy * 100:0.0} %"), isThere ? "yes" : "no");
        }
        Screen.Output.Write(table);
        return ExitCode.Done;
    }

    private static int Get(string name, DirectoryInfo? folder, Uri? mirror)
    {
        var model = Models[name];
        if (mirror is not null)
            model = model with { Address = new Uri(mirror, model.FileName) };
        var path = Downloads.Show(name, progress => model.Download(folder?.FullName, progress));
        Screen.WriteResult(path);
        return ExitCode.Done;
    }
}
