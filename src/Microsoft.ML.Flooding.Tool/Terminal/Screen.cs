using System.Globalization;
using Spectre.Console;

namespace Mlflood.Terminal;

/// <summary>Results go to standard output; progress, warnings and errors to standard error.</summary>
internal static class Screen
{
    private const int DefaultWidth = 80;

    /// <summary>Standard output, for results.</summary>
    public static IAnsiConsole Output { get; } = Create(Console.Out, Console.IsOutputRedirected);

    /// <summary>Standard error, for everything else.</summary>
    public static IAnsiConsole Error { get; } = Create(Console.Error, Console.IsErrorRedirected);

    /// <summary>Whether standard error is a terminal on which lines can be redrawn.</summary>
    public static bool IsLive => !IsQuiet && Error.Profile.Capabilities.Interactive && !Console.IsErrorRedirected;

    /// <summary>Whether notes and warnings are left out, because another process of the same training writes them.</summary>
    public static bool IsQuiet { get; set; }

    /// <summary>Writes a line of the result, which is not wrapped.</summary>
    public static void WriteResult(string line) => Console.Out.WriteLine(line);

    /// <summary>Writes a line about the progress.</summary>
    public static void WriteNote(string line)
    {
        if (!IsQuiet)
            Console.Error.WriteLine(line);
    }

    /// <summary>Writes an error message.</summary>
    public static void WriteError(string message) => WriteMarked("red", "error", message);

    /// <summary>Writes a warning.</summary>
    public static void WriteWarning(string message)
    {
        if (!IsQuiet)
            WriteMarked("yellow", "warning", message);
    }

    /// <summary>A message is wrapped on a terminal only.</summary>
    private static void WriteMarked(string color, string kind, string message)
    {
        if (Console.IsErrorRedirected)
            Console.Error.WriteLine($"{kind}: {message}");
        else
            Error.MarkupLine($"[{color}]{kind}:[/] {Markup.Escape(message)}");
    }

    private static IAnsiConsole Create(TextWriter writer, bool isRedirected)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = isRedirected ? AnsiSupport.No : AnsiSupport.Detect,
            ColorSystem = isRedirected ? ColorSystemSupport.NoColors : ColorSystemSupport.Detect,
            Interactive = isRedirected ? InteractionSupport.No : InteractionSupport.Detect,
        });
        // A file has no width. The environment variable COLUMNS sets one.
        if (isRedirected)
            console.Profile.Width = Columns() ?? DefaultWidth;
        return console;
    }

    private static int? Columns() =>
        int.TryParse(Environment.GetEnvironmentVariable("COLUMNS"), NumberStyles.None, CultureInfo.InvariantCulture, out var columns)
        && columns > 0 ? columns : null;
}
