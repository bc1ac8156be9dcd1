using System.Diagnostics;
using System.Globalization;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>A process of this executable that measures something by itself, so that its memory and start are those of a program.</summary>
internal static class OwnProcess
{
    /// <summary>Starts a process and returns the figures that it writes.</summary>
    /// <exception cref="InvalidOperationException">The process failed.</exception>
    public static double[] Run(params IEnumerable<string> arguments)
    {
        using var process = Start(arguments, environment: null);
        return Figures(process);
    }

    /// <summary>Starts a process.</summary>
    /// <param name="arguments">The arguments; the first one is the verb.</param>
    /// <param name="environment">A variable to set, or to remove if its value is null.</param>
    public static Process Start(IEnumerable<string> arguments, (string Name, string? Value)? environment)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        if (environment is { } variable)
            start.Environment[variable.Name] = variable.Value;
        return Process.Start(start)!;
    }

    /// <summary>Waits for a process and returns the figures that it writes.</summary>
    /// <exception cref="InvalidOperationException">The process failed.</exception>
    public static double[] Figures(Process process)
    {
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0
            ? [.. text.Split(' ').Select(figure => double.Parse(figure, CultureInfo.InvariantCulture))]
            : throw new InvalidOperationException($"The process '{string.Join(' ', process.StartInfo.ArgumentList)}' failed.");
    }

    /// <summary>Writes the figures of this process.</summary>
    public static void Write(params ReadOnlySpan<double> figures)
    {
        var texts = new List<string>();
        foreach (var figure in figures)
            texts.Add(figure.ToString(CultureInfo.InvariantCulture));
        Console.WriteLine(string.Join(' ', texts));
    }
}
