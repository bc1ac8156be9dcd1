using System.CommandLine;
using System.Globalization;
using Spectre.Console;

namespace Mlflood.Terminal;

/// <summary>Shows a download on standard error: a bar on a terminal, a line for each tenth elsewhere.</summary>
internal static class Downloads
{
    /// <summary>An option for another server, whose address is that of a folder.</summary>
    public static Option<Uri> MirrorOption() => new("--mirror")
    {
        Description = "The address of another server's folder with the same files.",
        HelpName = "ADDRESS",
        CustomParser = result =>
        {
            var text = result.Tokens.Single().Value;
            if (Uri.TryCreate(text.TrimEnd('/') + "/", UriKind.Absolute, out var address)
                && (address.Scheme == Uri.UriSchemeHttp || address.Scheme == Uri.UriSchemeHttps))
            {
                return address;
            }
            result.AddError($"--mirror: '{text}' is not an address that starts with http:// or https://.");
            return null;
        },
    };

    /// <summary>Shows a download.</summary>
    public static string Show(string name, Func<IProgress<DownloadProgress>, string> download)
    {
        if (!Screen.IsLive)
            return download(new Tenths(name));
        return Screen.Error.Progress().Columns(
            new TaskDescriptionColumn(), new ProgressBarColumn { Width = 30 }, new DownloadedColumn(), new RemainingTimeColumn())
            .Start(display => download(new Bar(display.AddTask(name))));
    }

    private sealed class Bar(ProgressTask task) : IProgress<DownloadProgress>
    {
        public void Report(DownloadProgress value)
        {
            task.MaxValue = value.Total;
            task.Value = value.Received;
        }
    }

    private sealed class Tenths(string name) : IProgress<DownloadProgress>
    {
        private long _shown = -1;

        public void Report(DownloadProgress value)
        {
            var tenth = value.Received * 10 / value.Total;
            if (tenth <= _shown)
                return;
            _shown = tenth;
            Console.Error.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{name}: {value.Received / 1e6:0.0} of {value.Total / 1e6:0.0} MB"));
        }
    }
}
