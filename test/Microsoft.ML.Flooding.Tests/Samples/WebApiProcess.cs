using System.Diagnostics;

namespace Microsoft.ML.Flooding.Tests.Samples;

/// <summary>The web sample in a separate process, on a free port.</summary>
internal sealed class WebApiProcess : IDisposable
{
    private const string Listening = "Now listening on: ";
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);
    private readonly Process _process;

    private WebApiProcess(Process process, Uri address)
    {
        _process = process;
        // By default the client sends the file after a second, even if a slow server has not yet said whether it wants it.
        Client = new HttpClient(new SocketsHttpHandler { Expect100ContinueTimeout = Patience }) { BaseAddress = address };
    }

    /// <summary>The build output of the sample, next to that of these tests.</summary>
    public static string Folder
    {
        get
        {
            // .../Microsoft.ML.Flooding.Tests/bin/Release/net10.0
            var own = new DirectoryInfo(AppContext.BaseDirectory);
            return Path.Combine(Artifacts.Repository, "docs", "samples", "WebApi", "bin", own.Parent!.Name, own.Name);
        }
    }

    /// <summary>The model that the sample trains if there is none.</summary>
    public static string Model => Path.Combine(Folder, "fashion.zip");

    public HttpClient Client { get; }

    /// <summary>Starts the sample and waits until it listens. It then has its model.</summary>
    public static async Task<WebApiProcess> StartAsync(params string[] arguments)
    {
        // Port 0 means any free port. The sample logs which.
        var start = new ProcessStartInfo("dotnet", [Path.Combine(Folder, "WebApi.dll"), "--urls", "http://127.0.0.1:0", .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        var process = Process.Start(start)!;
        var address = new TaskCompletionSource<Uri>(TaskCreationOptions.RunContinuationsAsynchronously);
        var log = new System.Collections.Concurrent.ConcurrentQueue<string?>();
        process.ErrorDataReceived += (_, e) => log.Enqueue(e.Data);
        process.OutputDataReceived += (_, e) =>
        {
            log.Enqueue(e.Data);
            if (e.Data is null)
                address.TrySetException(new InvalidOperationException("The web sample ended."));
            else if (e.Data.IndexOf(Listening, StringComparison.Ordinal) is var at and >= 0)
                address.TrySetResult(new Uri(e.Data[(at + Listening.Length)..]));
        };
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();
        try
        {
            return new WebApiProcess(process, await address.Task.WaitAsync(Patience));
        }
        catch (Exception e) when (e is TimeoutException or InvalidOperationException)
        {
            process.Kill(entireProcessTree: true);
            throw new InvalidOperationException($"{e.Message}\n{string.Join('\n', log)}", e);
        }
    }

    public void Dispose()
    {
        Client.Dispose();
        _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
    }
}
