using System.CommandLine;
using Mlflood.Terminal;

namespace Mlflood.Verbs;

internal static class CompletionVerb
{
    private static readonly Dictionary<string, string> Scripts = new()
    {
        ["bash"] = """
            _mlflood() {
              local IFS=$'\n'
              COMPREPLY=($(mlflood "[suggest:${COMP_POINT}]" "${COMP_LINE}" 2>/dev/null))
            }
            complete -o default -F _mlflood mlflood
            """,
        ["zsh"] = """
            _mlflood() {
              compadd -- ${(f)"$(mlflood "[suggest:${#BUFFER}]" "${BUFFER}" 2>/dev/null)"}
              _files
            }
            compdef _mlflood mlflood
            """,
        ["fish"] = """
            complete -c mlflood -a '(mlflood "[suggest:"(commandline -C)"]" (commandline -b) 2>/dev/null)'
            """,
        ["pwsh"] = """
            Register-ArgumentCompleter -Native -CommandName mlflood -ScriptBlock {
              param($word, $line, $position)
              mlflood "[suggest:$position]" "$line" | ForEach-Object { [System.Management.Automation.CompletionResult]::new($_) }
            }
            """,
    };

    public static Command Create()
    {
        var shell = new Argument<string>("SHELL") { Description = "The shell." };
        shell.AcceptOnlyFromAmong([.. Scripts.Keys]);
        var command = new Command("completion", "Prints a script that completes the command line of mlflood in a shell.") { shell };
        command.SetAction(result =>
        {
            Console.Out.WriteLine(Scripts[result.GetRequiredValue(shell)]);
            return ExitCode.Done;
        });
        return HelpWithExamples.WithExamples(
            command, "mlflood completion bash >> ~/.bashrc", "mlflood completion pwsh >> $PROFILE");
    }
}
