using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Mlflood.Terminal;

/// <summary>The help of System.CommandLine, followed by the examples of the command.</summary>
internal sealed class HelpWithExamples : SynchronousCommandLineAction
{
    private const int WidestText = 120;

    private static readonly Dictionary<Command, string[]> Examples = [];

    private readonly HelpAction _help;
    private readonly string _codes;

    public HelpWithExamples(HelpAction help, string codes)
    {
        (_help, _codes) = (help, codes);
        _help.MaxWidth = Math.Min(WidestText, Screen.Output.Profile.Width);
    }

    public override bool ClearsParseErrors => true;

    /// <summary>Adds examples to a command.</summary>
    public static Command WithExamples(Command command, params string[] examples)
    {
        Examples[command] = examples;
        return command;
    }

    public override int Invoke(ParseResult parseResult)
    {
        var code = _help.Invoke(parseResult);
        var output = parseResult.InvocationConfiguration.Output;
        if (Examples.TryGetValue(parseResult.CommandResult.Command, out var examples))
        {
            output.WriteLine("Examples:");
            foreach (var example in examples)
                output.WriteLine("  " + example);
            output.WriteLine();
        }
        output.WriteLine("Exit codes:");
        foreach (var line in Wrap(_codes, _help.MaxWidth - 2))
            output.WriteLine("  " + line);
        return code;
    }

    private static IEnumerable<string> Wrap(string text, int width)
    {
        var line = "";
        foreach (var word in text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.Length > 0 && line.Length + 1 + word.Length > width)
            {
                yield return line;
                line = "";
            }
            line += line.Length > 0 ? " " + word : word;
        }
        yield return line;
    }
}
