using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Microsoft.ML.Flooding.Tests.Transfer;

/// <summary>A local web server that answers each request as specified, including wrongly.</summary>
internal sealed class LoopbackServer : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();
    private readonly Func<Request, Task> _answer;
    private readonly List<Request> _requests = [];

    /// <param name="answer">Writes an answer. The connection is closed afterwards.</param>
    public LoopbackServer(Func<Request, Task> answer)
    {
        _answer = answer;
        _listener.Start();
        _ = AcceptAsync();
    }

    /// <summary>The requests, in order.</summary>
    public IReadOnlyList<Request> Requests
    {
        get
        {
            lock (_requests)
                return [.. _requests];
        }
    }

    public Uri AddressOf(string path) =>
        new(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}/{path}"));

    public void Dispose()
    {
        _end.Cancel();
        _listener.Dispose();
        _end.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
                _ = ServeAsync(await _listener.AcceptTcpClientAsync(_end.Token));
        }
        catch (Exception e) when (IsTheEnd(e))
        {
            // The test is over.
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        try
        {
            using var closing = client;
            var stream = client.GetStream();
            var lines = await ReadHeadAsync(stream);
            var range = lines.FirstOrDefault(line => line.StartsWith("Range: bytes=", StringComparison.OrdinalIgnoreCase));
            Request request;
            lock (_requests)
            {
                request = new Request(
                    _requests.Count, lines[0].Split(' ')[1],
                    range is null ? 0 : long.Parse(range["Range: bytes=".Length..].TrimEnd('-'), CultureInfo.InvariantCulture),
                    stream, _end.Token);
                _requests.Add(request);
            }
            await _answer(request);
        }
        catch (Exception e) when (IsTheEnd(e))
        {
            // The client has disconnected, or the test is over.
        }
    }

    private static bool IsTheEnd(Exception e) =>
        e is OperationCanceledException or ObjectDisposedException or SocketException or IOException;

    private static async Task<string[]> ReadHeadAsync(Stream stream)
    {
        var head = new StringBuilder();
        var buffer = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal) && await stream.ReadAsync(buffer) > 0)
            head.Append((char)buffer[0]);
        return head.ToString().Split("\r\n");
    }

    /// <param name="Number">From 0.</param>
    /// <param name="Path">The requested path.</param>
    /// <param name="From">The first byte of the requested range; 0 for the whole file.</param>
    /// <param name="Stream">Takes the answer.</param>
    /// <param name="End">Ends with the server.</param>
    public sealed record Request(int Number, string Path, long From, Stream Stream, CancellationToken End)
    {
        public Task HeadAsync(string status, params string[] headers) =>
            Stream.WriteAsync(Encoding.ASCII.GetBytes(
                $"HTTP/1.1 {status}\r\n{string.Concat(headers.Select(header => header + "\r\n"))}Connection: close\r\n\r\n")).AsTask();

        /// <summary>Sends a file from the requested position, as a correct server does.</summary>
        public async Task SendAsync(byte[] file, int? count = null, string? claimed = null)
        {
            var rest = file.AsMemory((int)From);
            if (From > 0)
                await HeadAsync(
                    "206 Partial Content", $"Content-Length: {rest.Length}",
                    $"Content-Range: bytes {From}-{file.Length - 1}/{file.Length}");
            else
                await HeadAsync("200 OK", $"Content-Length: {rest.Length}", $"Content-Type: {claimed ?? "application/octet-stream"}");
            await Stream.WriteAsync(count is { } few ? rest[..few] : rest);
        }
    }
}
