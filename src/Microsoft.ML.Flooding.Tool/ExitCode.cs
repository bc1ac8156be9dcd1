namespace Mlflood;

/// <summary>The exit codes of the program, which its help lists. A second Ctrl-C ends it by the signal, which shells show as 130.</summary>
internal static class ExitCode
{
    /// <summary>The command did what it was asked to.</summary>
    public const int Done = 0;

    /// <summary>The command line is wrong; nothing was done.</summary>
    public const int WrongCommandLine = 1;

    /// <summary>The data, a file, the network or the training failed; the message says why.</summary>
    public const int Failed = 2;

    /// <summary>Ctrl-C stopped the training after a step. The model as trained so far was saved.</summary>
    public const int Stopped = 3;
}
