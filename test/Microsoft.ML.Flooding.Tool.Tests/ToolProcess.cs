using System.Diagnostics;

namespace Mlflood.Tests;

/// <summary>The tool in a process of its own, as its build left it.</summary>
internal sealed class ToolProcess : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private readonly Process _process;
    private readonly List<string> _errorLines = [];
    private readonly Task<string> _output;
    private readonly Task _error;

    private ToolProcess(Process process)
    {
        _process = process;
        _output = process.StandardOutput.ReadToEndAsync();
        _error = ReadErrorAsync();
    }

    /// <summary>The folder of the repository.</summary>
    public static string Repository { get; } = FindRepository();

    /// <summary>The program, in the build output of the tool.</summary>
    public static string Program
    {
        get
        {
            // .../Microsoft.ML.Flooding.Tool.Tests/bin/Release/net10.0
            var own = new DirectoryInfo(AppContext.BaseDirectory);
            return Path.Combine(Repository, "src", "Microsoft.ML.Flooding.Tool", "bin", own.Parent!.Name, own.Name, "mlflood.dll");
        }
    }

    /// <summary>Starts the tool in a folder.</summary>
    public static ToolProcess Start(string folder, IEnumerable<string> arguments, params (string Name, string Value)[] variables) =>
        Start("dotnet", folder, [Program, .. arguments], variables);

    /// <summary>Starts any program.</summary>
    public static ToolProcess Start(
        string program, string folder, IEnumerable<string> arguments, params (string Name, string Value)[] variables)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["OMP_NUM_THREADS"] = "1";
        start.Environment["DOTNET_CLI_UI_LANGUAGE"] = "en";
        start.Environment["DOTNET_NOLOGO"] = "1";
        // The test program's own switches are not those of the tool.
        foreach (var name in start.Environment.Keys.Where(key => key.StartsWith("TESTINGPLATFORM", StringComparison.Ordinal)).ToArray())
            start.Environment.Remove(name);
        foreach (var (name, value) in variables)
            start.Environment[name] = value;
        return new ToolProcess(Process.Start(start)!);
    }

    /// <summary>Runs the tool to its end.</summary>
    public static Result Run(string folder, params string[] arguments)
    {
        using var tool = Start(folder, arguments);
        return tool.Finish();
    }

    /// <summary>Closes the input and waits for the end.</summary>
    public Result Finish(string input = "")
    {
        _process.StandardInput.Write(input);
        _process.StandardInput.Close();
        if (!_process.WaitForExit(Patience))
            throw new InvalidOperationException($"The program does not end. It wrote: {string.Join('\n', ErrorLines())}");
        _error.Wait();
        return new Result(_process.ExitCode, _output.Result, string.Join('\n', ErrorLines()));
    }

    /// <summary>Waits for a line on standard error.</summary>
    public void WaitFor(string text)
    {
        var watch = Stopwatch.StartNew();
        while (true)
        {
            // Read before the lines: those of a program that has ended are then complete.
            var isLast = _error.IsCompleted || watch.Elapsed > Patience;
            if (ErrorLines().Any(line => line.Contains(text, StringComparison.Ordinal)))
                return;
            if (isLast)
                throw new InvalidOperationException($"There is no line '{text}' in: {string.Join('\n', ErrorLines())}");
            Thread.Sleep(20);
        }
    }

    /// <summary>The first line on standard error that has a text.</summary>
    public string LineWith(string text) => ErrorLines().First(line => line.Contains(text, StringComparison.Ordinal));

    /// <summary>The lines on standard error that have a text.</summary>
    public IEnumerable<string> Lines(string text) => ErrorLines().Where(line => line.Contains(text, StringComparison.Ordinal));

    /// <summary>Sends SIGINT, as Ctrl-C does.</summary>
    public void Interrupt()
    {
        using var kill = Process.Start("kill", ["-INT", _process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    /// <summary>The number of the child process with a variable, on Linux.</summary>
    public int ChildWith(string variable) => File.ReadAllText($"/proc/{_process.Id}/task/{_process.Id}/children")
        .Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(id => int.Parse(id, System.Globalization.CultureInfo.InvariantCulture))
        .Single(id => File.ReadAllText($"/proc/{id}/environ").Split('\0').Contains(variable));

    public void Dispose()
    {
        if (!_process.HasExited)
            _process.Kill(entireProcessTree: true);
        _process.Dispose();
    }

    private string[] ErrorLines()
    {
        lock (_errorLines)
            return [.. _errorLines];
    }

    private async Task ReadErrorAsync()
    {
        while (await _process.StandardError.ReadLineAsync() is { } line)
        {
            lock (_errorLines)
                _errorLines.Add(line);
        }
    }

    private static string FindRepository()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Microsoft.ML.Flooding.sln")))
                return folder.FullName;
        }
        throw new InvalidOperationException("The tests have to run in the repository.");
    }

    /// <summary>What a program did.</summary>
    public sealed record Result(int ExitCode, string Output, string Error)
    {
        /// <summary>Fails if the exit code differs.</summary>
        public Result Expect(int exitCode)
        {
            Assert.AreEqual(exitCode, ExitCode, $"{Output}\n{Error}");
            return this;
        }
    }
}
