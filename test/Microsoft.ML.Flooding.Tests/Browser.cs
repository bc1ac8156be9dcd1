using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.WebSockets;
using System.Text.Json;

namespace Microsoft.ML.Flooding.Tests;

/// <summary>A page in a headless Chromium, driven by the DevTools protocol.</summary>
internal sealed class Browser : IAsyncDisposable
{
    private const string Listening = "DevTools listening on ";
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly Process _process;
    private readonly DirectoryInfo _profile;
    private readonly ClientWebSocket _socket = new();
    private readonly ConcurrentDictionary<int, TaskCompletionSource<JsonElement>> _calls = new();
    private readonly ConcurrentQueue<string> _complaints = new();
    private int _lastCall;

    private Browser(Process process, DirectoryInfo profile)
    {
        _process = process;
        _profile = profile;
    }

    /// <summary>The Chromium of this machine. Null if there is none.</summary>
    public static string? Executable { get; } =
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .SelectMany(d => new[] { "chromium", "chromium-browser", "google-chrome" }.Select(n => Path.Combine(d, n)))
            .FirstOrDefault(File.Exists);

    /// <summary>Errors and warnings of the page's console so far.</summary>
    public IReadOnlyCollection<string> Complaints => _complaints;

    public static async Task<Browser> StartAsync(string executable, int width, int height)
    {
        var profile = Directory.CreateTempSubdirectory("flooding-chromium-");
        var process = Process.Start(new ProcessStartInfo(executable)
        {
            RedirectStandardError = true,
            ArgumentList =
            {
                "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", $"--user-data-dir={profile.FullName}", $"--window-size={width},{height}",
                "--remote-debugging-port=0", "about:blank",
            },
        })!;
        var browser = new Browser(process, profile);
        var endpoint = new TaskCompletionSource<Uri>(TaskCreationOptions.RunContinuationsAsynchronously);
        process.ErrorDataReceived += (_, e) =>
        {
            if (e.Data?.StartsWith(Listening, StringComparison.Ordinal) == true)
                endpoint.TrySetResult(new Uri(e.Data[Listening.Length..]));
        };
        process.BeginErrorReadLine();
        try
        {
            await browser.ConnectAsync(await endpoint.Task.WaitAsync(Patience));
            return browser;
        }
        catch
        {
            await browser.DisposeAsync();
            throw;
        }
    }

    public Task OpenAsync(Uri address) => CallAsync("Page.navigate", new { url = address.AbsoluteUri });

    public Task PreferAsync(string colorScheme) =>
        CallAsync("Emulation.setEmulatedMedia", new { features = new[] { new { name = "prefers-color-scheme", value = colorScheme } } });

    /// <summary>The value of an expression, or the result of its promise.</summary>
    public async Task<JsonElement> EvaluateAsync(string expression)
    {
        var answer = await CallAsync("Runtime.evaluate", new { expression, awaitPromise = true, returnByValue = true });
        return answer.TryGetProperty("exceptionDetails", out var error)
            ? throw new InvalidOperationException(error.ToString())
            : answer.GetProperty("result").TryGetProperty("value", out var value) ? value : default;
    }

    public async Task WaitForAsync(string condition)
    {
        for (var watch = Stopwatch.StartNew(); !(await EvaluateAsync($"!!({condition})")).GetBoolean(); await Task.Delay(50))
            Assert.IsLessThan(Patience, watch.Elapsed, $"The page never had: {condition}");
    }

    /// <summary>Chooses a file, as a visitor does in the dialog.</summary>
    public async Task ChooseFileAsync(string selector, string path)
    {
        var root = (await CallAsync("DOM.getDocument", new { })).GetProperty("root").GetProperty("nodeId").GetInt32();
        var node = (await CallAsync("DOM.querySelector", new { nodeId = root, selector })).GetProperty("nodeId").GetInt32();
        await CallAsync("DOM.setFileInputFiles", new { nodeId = node, files = new[] { path } });
    }

    public async Task<byte[]> ScreenshotAsync() =>
        (await CallAsync("Page.captureScreenshot", new { format = "png" })).GetProperty("data").GetBytesFromBase64();

    public async ValueTask DisposeAsync()
    {
        _socket.Dispose();
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();

        // The child processes may still write for a moment.
        for (var tries = 0; tries < 20 && _profile.Exists; tries++)
        {
            try
            {
                _profile.Delete(recursive: true);
                return;
            }
            catch (IOException)
            {
                await Task.Delay(100);
            }
        }
    }

    private async Task ConnectAsync(Uri endpoint)
    {
        using var client = new HttpClient();
        using var targets = JsonDocument.Parse(await client.GetStringAsync(new Uri($"http://{endpoint.Authority}/json/list")));
        var page = targets.RootElement.EnumerateArray().First(target => target.GetProperty("type").GetString() == "page");
        await _socket.ConnectAsync(new Uri(page.GetProperty("webSocketDebuggerUrl").GetString()!), CancellationToken.None);
        _ = ListenAsync();
        foreach (var domain in new[] { "Page", "Runtime", "Log", "DOM" })
            await CallAsync($"{domain}.enable", new { });
    }

    private async Task<JsonElement> CallAsync(string method, object parameters)
    {
        var id = Interlocked.Increment(ref _lastCall);
        var answer = _calls[id] = new TaskCompletionSource<JsonElement>(TaskCreationOptions.RunContinuationsAsynchronously);
        await _socket.SendAsync(
            JsonSerializer.SerializeToUtf8Bytes(new { id, method, @params = parameters }),
            WebSocketMessageType.Text, true, CancellationToken.None);
        return await answer.Task.WaitAsync(Patience);
    }

    private async Task ListenAsync()
    {
        var buffer = new byte[1 << 16];
        using var message = new MemoryStream();
        try
        {
            while (true)
            {
                var part = await _socket.ReceiveAsync(buffer, CancellationToken.None);
                message.Write(buffer, 0, part.Count);
                if (!part.EndOfMessage)
                    continue;
                Take(JsonSerializer.Deserialize<JsonElement>(message.ToArray()));
                message.SetLength(0);
            }
        }
        catch (Exception e) when (e is WebSocketException or ObjectDisposedException or OperationCanceledException or JsonException)
        {
            foreach (var call in _calls.Values)
                call.TrySetException(e);
        }
    }

    private void Take(JsonElement message)
    {
        if (message.TryGetProperty("id", out var id))
        {
            if (!_calls.TryRemove(id.GetInt32(), out var call))
                return;
            if (message.TryGetProperty("error", out var error))
                call.TrySetException(new InvalidOperationException(error.ToString()));
            else
                call.TrySetResult(message.GetProperty("result"));
            return;
        }
        var parameters = message.GetProperty("params");
        var isComplaint = message.GetProperty("method").GetString() switch
        {
            "Runtime.exceptionThrown" => true,
            "Runtime.consoleAPICalled" => parameters.GetProperty("type").GetString() is "error" or "warning" or "assert",
            "Log.entryAdded" => parameters.GetProperty("entry").GetProperty("level").GetString() is "error" or "warning",
            _ => false,
        };
        if (isComplaint)
            _complaints.Enqueue(parameters.ToString());
    }
}
