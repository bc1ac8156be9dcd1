using System.CommandLine;
using System.Globalization;
using Mlflood.Terminal;
using Spectre.Console;

namespace Mlflood.Verbs;

internal static class DatasetsVerb
{
    public static Command Create()
    {
        var list = new Command("list", "Lists the data sets and where they are.");
        list.SetAction(_ => List());

        var name = new Argument<string>("NAME") { Description = "The name of the data set." };
        name.AcceptOnlyFromAmong(StringComparer.OrdinalIgnoreCase, [.. ImageDataSets.All.Select(set => set.Name)]);
        var folder = new Option<DirectoryInfo>("--folder")
        {
            Description = "The folder. Default: the cache, where the other verbs look.",
            HelpName = "FOLDER",
        };
        var mirror = Downloads.MirrorOption();
        var get = new Command("get", "Downloads a data set and checks it. An interrupted download continues.") { name, folder, mirror };
        get.SetAction(result => Get(result.GetRequiredValue(name), result.GetValue(folder), result.GetValue(mirror)));
        HelpWithExamples.WithExamples(get, "mlflood datasets get fashion-mnist");
        return new Command("datasets", "Lists and downloads the data sets of the flooding paper.") { list, get };
    }

    private static int List()
    {
        var table = new Table { Border = TableBorder.Rounded };
        table.AddColumn(new TableColumn("name").NoWrap()).AddColumn("images")
            .AddColumn(new TableColumn("MB").RightAligned().NoWrap()).AddColumn("in the cache");
        foreach (var set in ImageDataSets.All)
        {
            var isThere = set.FileNames.All(file => File.Exists(Path.Combine(set.DefaultFolder, file)));
            table.AddRow(
                set.Name, set.Description, string.Create(CultureInfo.InvariantCulture, $"{set.Bytes / 1e6:0}"), isThere ? "yes" : "no");
        }
        Screen.Output.Write(table);
        return ExitCode.Done;
    }

    private static int Get(string name, DirectoryInfo? folder, Uri? mirror)
    {
        var set = ImageDataSets.All.Single(set => set.Name.Equals(name, StringComparison.OrdinalIgnoreCase));
        if (mirror is not null)
            set = set.WithMirror(mirror);
        var path = Downloads.Show(set.Name, progress => set.Download(folder?.FullName, progress));
        Screen.WriteResult(path);
        return ExitCode.Done;
    }
}
