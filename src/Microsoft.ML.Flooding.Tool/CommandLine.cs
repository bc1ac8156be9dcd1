using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using Mlflood.Options;
using Mlflood.Terminal;
using Mlflood.Verbs;

namespace Mlflood;

/// <summary>The root command: parses the arguments, runs a verb, and turns errors into exit codes.</summary>
internal static class CommandLine
{
    private const string About =
        "Trains image classifiers for ML.NET with flooding, which keeps the training loss near a small level.\n\n"
        + "DATA is a folder with a subfolder of images for each class; a .csv or .tsv file with a column of paths and a column of "
        + "labels; a .zip file of either; or the name of a data set, such as fashion-mnist (see 'mlflood datasets list').";

    private const string Codes = """
        0 done; 1 wrong command line; 2 data, a file or training failed; 3 stopped by Ctrl-C, with the model as trained so far saved; 130
        ended at once by a second Ctrl-C.
        """;

    /// <summary>Parses and runs a command line.</summary>
    /// <returns>The <see cref="ExitCode"/>.</returns>
    public static int Run(string[] args)
    {
        var result = Create().Parse(args);
        var options = OptionsOf(result.CommandResult.Command);
        // [suggest] and other directives complete half a word.
        if (!args.FirstOrDefault("").StartsWith('[') && UnknownOption(args, options) is { } unknown)
        {
            Screen.WriteError($"There is no option {unknown}.{Suggest(unknown, options)}");
            Screen.WriteNote($"Run '{PathOf(result.CommandResult.Command)} --help' for the arguments and options.");
            return ExitCode.WrongCommandLine;
        }
        if (result.Action is ParseErrorAction parseError)
            (parseError.ShowHelp, parseError.ShowTypoCorrections) = (false, true);
        try
        {
            var code = result.Invoke(new InvocationConfiguration
            {
                EnableDefaultExceptionHandler = false,
                // The suggestions for a misspelled word are no result.
                Output = result.Action is ParseErrorAction ? Console.Error : Console.Out,
            });
            if (result.Errors.Count > 0)
                Screen.WriteNote($"Run '{PathOf(result.CommandResult.Command)} --help' for the arguments and options.");
            return code;
        }
        catch (WrongOption e)
        {
            // All processes of a training have the same options.
            if (!Screen.IsQuiet)
                Screen.WriteError(e.Message);
            return ExitCode.WrongCommandLine;
        }
        catch (Exception e) when (Unwrap(e) is Failure or IOException or UnauthorizedAccessException or InvalidDataException
            or ArgumentException or InvalidOperationException or FormatException or NotSupportedException or OperationCanceledException)
        {
            Screen.WriteError(Unwrap(e).Message);
            return ExitCode.Failed;
        }
    }

    /// <summary>
    /// The first word that looks like an option but is none of the command's; null: there is none. The parser takes such a word for DATA.
    /// </summary>
    private static string? UnknownOption(IEnumerable<string> args, IReadOnlyList<string> options) =>
        args.TakeWhile(word => word != "--").Where(word => word.StartsWith("--", StringComparison.Ordinal))
            .Select(word => word.Split('=', ':')[0]).FirstOrDefault(word => !options.Contains(word));

    /// <summary>The options that begin like a misspelled one, as a question.</summary>
    private static string Suggest(string unknown, IReadOnlyList<string> options)
    {
        const int Least = 4;
        int Common(string option) => option.Zip(unknown).TakeWhile(pair => pair.First == pair.Second).Count();
        var most = options.Max(Common);
        return most < Least ? "" : $" Did you mean {string.Join(" or ", options.Where(option => Common(option) == most))}?";
    }

    /// <summary>The root command with its verbs.</summary>
    internal static RootCommand Create()
    {
        var root = new RootCommand(About)
        {
            TrainVerb.Create(), EvaluateVerb.Create(), PredictVerb.Create(), SearchVerb.Create(), ReportVerb.Create(),
            InspectVerb.Create(), ExportVerb.Create(), ScaffoldVerb.Create(), DatasetsVerb.Create(), WeightsVerb.Create(),
            WorkerVerb.Create(), CompletionVerb.Create(),
        };
        var help = root.Options.OfType<HelpOption>().Single();
        help.Action = new HelpWithExamples((HelpAction)help.Action!, Codes);
        return root;
    }

    /// <summary>The words that select a command, such as "mlflood datasets get".</summary>
    internal static string PathOf(Command command) => command.Parents.OfType<Command>().FirstOrDefault() is { } parent
        ? $"{PathOf(parent)} {command.Name}"
        : "mlflood";

    private static IReadOnlyList<string> OptionsOf(Command command) =>
    [
        .. command.Options.Concat(command.Parents.OfType<Command>().SelectMany(parent => parent.Options.Where(option => option.Recursive)))
            .SelectMany(option => option.Aliases.Prepend(option.Name)).Where(name => name.StartsWith("--", StringComparison.Ordinal)),
    ];

    private static Exception Unwrap(Exception e) => e switch
    {
        AggregateException { InnerExceptions: [var inner] } => Unwrap(inner),
        System.Reflection.TargetInvocationException { InnerException: { } inner } => Unwrap(inner),
        _ => e,
    };
}
