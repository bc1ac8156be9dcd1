using System.Diagnostics;

namespace Microsoft.ML.Flooding.Orleans.Tests;

/// <summary>A process of the cluster: a worker, or one that trains.</summary>
internal sealed class Node : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(4);

    private readonly Process _process;
    private readonly List<(long Time, string Text)> _lines = [];

    private Node(Process process)
    {
        _process = process;
        process.OutputDataReceived += (_, e) => Add(e.Data);
        process.ErrorDataReceived += (_, e) => Add(e.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    /// <summary>The lines that the process wrote so far, and when they arrived.</summary>
    public (long Time, string Text)[] TimedLines
    {
        get
        {
            lock (_lines)
                return [.. _lines];
        }
    }

    /// <summary>The lines that the process wrote so far.</summary>
    public string[] Lines => [.. TimedLines.Select(line => line.Text)];

    /// <summary>Starts a worker.</summary>
    public static Node Worker(string address, string name, params string[] settings) => Start(["worker", address, name, .. settings]);

    /// <summary>Starts a training; the address "none" trains in the process itself.</summary>
    public static Node Client(string address, string output, params string[] settings) => Start(
        ["client", address, Images.PathOf("train-images-idx3-ubyte.gz"), Images.PathOf("train-labels-idx1-ubyte.gz"), output, .. settings]);

    /// <summary>Waits for a line that has a text.</summary>
    public void WaitFor(string text)
    {
        var watch = Stopwatch.StartNew();
        while (!Lines.Any(line => line.Contains(text, StringComparison.Ordinal)))
        {
            if (_process.HasExited || watch.Elapsed > Patience)
                throw new InvalidOperationException($"There is no line '{text}' in:\n{string.Join('\n', Lines)}");
            Thread.Sleep(20);
        }
    }

    /// <summary>Waits for the end of the process.</summary>
    /// <returns>The exit code.</returns>
    public int WaitForEnd()
    {
        if (!_process.WaitForExit(Patience))
            throw new InvalidOperationException($"The process does not end. It wrote:\n{string.Join('\n', Lines)}");
        _process.WaitForExit();
        return _process.ExitCode;
    }

    public bool HasExited => _process.HasExited;

    /// <summary>Ends the process at once, as kill -9 does.</summary>
    public void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    public void Dispose()
    {
        if (!_process.HasExited)
            Kill();
        _process.Dispose();
    }

    private static Node Start(IEnumerable<string> arguments)
    {
        // .../Microsoft.ML.Flooding.Orleans.Tests/bin/Release/net10.0
        var own = new DirectoryInfo(AppContext.BaseDirectory);
        var name = "Microsoft.ML.Flooding.Orleans.Tests.Node";
        var program = Path.Combine(
            own.Parent!.Parent!.Parent!.Parent!.FullName, name, "bin", own.Parent.Name, own.Name, name + ".dll");
        var start = new ProcessStartInfo("dotnet", [program, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["OMP_NUM_THREADS"] = "1";
        return new Node(Process.Start(start)!);
    }

    private void Add(string? line)
    {
        if (line is null)
            return;
        lock (_lines)
            _lines.Add((Stopwatch.GetTimestamp(), line));
    }
}
