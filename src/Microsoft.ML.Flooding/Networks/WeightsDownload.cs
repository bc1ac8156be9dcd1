using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>One file from a server into a folder: whole and checked, or not at all. What has arrived of it lies beside, and ends with .partial.</summary>
internal sealed class WeightsDownload(PretrainedModel model, string folder)
{
    private const int MostAttempts = 5;
    private const int BufferSize = 1 << 16;

    // The time limit is on silence, not on the whole: a slow line is no fault.
    private static readonly HttpClient Client = new(new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.FromMinutes(5) })
    {
        Timeout = Timeout.InfiniteTimeSpan,
    };

    private readonly string _path = Path.GetFullPath(Path.Combine(folder, model.FileName));

    /// <summary>How long a server may be silent before the connection is made anew.</summary>
    public TimeSpan Silence { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The pause before the second attempt; each later one is twice as long.</summary>
    public TimeSpan Pause { get; init; } = TimeSpan.FromSeconds(1);

    private string Partial => _path + ".partial";

    private string ByHand =>
        $"Without a network, download the file elsewhere and put it to '{_path}' ({model.Bytes:N0} bytes; its SHA-256 begins with {model.Sha256[..8].ToLowerInvariant()}).";

    /// <inheritdoc cref="PretrainedModel.Download"/>
    public async Task<string> RunAsync(IProgress<DownloadProgress>? progress, CancellationToken cancellationToken)
    {
        if (await IsRightAsync(_path, cancellationToken).ConfigureAwait(false))
            return _path;
        Directory.CreateDirectory(folder);
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                var resumed = await ReceiveAsync(progress, cancellationToken).ConfigureAwait(false);
                if (await IsRightAsync(Partial, cancellationToken).ConfigureAwait(false))
                {
                    File.Move(Partial, _path, overwrite: true);
                    return _path;
                }
                File.Delete(Partial);
                // What an earlier attempt had left may have been of another file.
                if (!resumed)
                    throw new InvalidDataException($"What '{model.Address}' sends is another file: its SHA-256 does not begin with {model.Sha256}. {ByHand}");
            }
            catch (Exception e) when (IsPassing(e, cancellationToken))
            {
                if (attempt == MostAttempts || (e is HttpRequestException { StatusCode: { } status } && !MayPass(status)))
                    throw new IOException($"'{model.Address}' cannot be downloaded: {Reason(e)} {Kept()}{ByHand}", e);
            }
            await Task.Delay(Pause * Math.Pow(2, attempt - 1), cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Asks for what is not there yet, and writes it behind what is.</summary>
    /// <returns>Whether a part of the file is from earlier.</returns>
    private async Task<bool> ReceiveAsync(IProgress<DownloadProgress>? progress, CancellationToken cancellationToken)
    {
        using var file = new FileStream(Partial, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        if (file.Length > model.Bytes)
            file.SetLength(0);
        if (file.Length == model.Bytes)
            return true;
        using var silence = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        silence.CancelAfter(Silence);
        using var request = new HttpRequestMessage(HttpMethod.Get, model.Address);
        if (file.Length > 0)
            request.Headers.Range = new RangeHeaderValue(file.Length, null);
        using var response = await Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, silence.Token).ConfigureAwait(false);
        if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
        {
            file.SetLength(0);
            throw new IOException("The server does not know the part that is missing.");
        }
        response.EnsureSuccessStatusCode();
        var resumes = response.StatusCode == HttpStatusCode.PartialContent && response.Content.Headers.ContentRange?.From == file.Length;
        if (!resumes)
            file.SetLength(0);
        if (response.Content.Headers.ContentLength is { } length && file.Length + length != model.Bytes)
            throw Another(file.Length + length, response);
        file.Position = file.Length;
        using var content = await response.Content.ReadAsStreamAsync(silence.Token).ConfigureAwait(false);
        var buffer = new byte[BufferSize];
        while (true)
        {
            silence.CancelAfter(Silence);
            var read = await content.ReadAsync(buffer, silence.Token).ConfigureAwait(false);
            if (read == 0)
                break;
            if (file.Length + read > model.Bytes)
                throw Another(file.Length + read, response);
            await file.WriteAsync(buffer.AsMemory(0, read), cancellationToken).ConfigureAwait(false);
            await file.FlushAsync(cancellationToken).ConfigureAwait(false);
            progress?.Report(new DownloadProgress(file.Length, model.Bytes));
        }
        return file.Length == model.Bytes ? resumes : throw new IOException("The connection was closed before the end.");
    }

    private InvalidDataException Another(long length, HttpResponseMessage response) => new(
        $"What '{model.Address}' sends is another file: {length:N0} bytes or more{(response.Content.Headers.ContentType?.MediaType is { } type ? $" of {type}" : "")} " +
        $"instead of {model.Bytes:N0}. A proxy or a login page may have answered. {ByHand}");

    private async Task<bool> IsRightAsync(string path, CancellationToken cancellationToken)
    {
        if (new FileInfo(path) is not { Exists: true } info || info.Length != model.Bytes)
            return false;
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        var digest = Convert.ToHexString(await SHA256.HashDataAsync(file, cancellationToken).ConfigureAwait(false));
        return digest.StartsWith(model.Sha256, StringComparison.OrdinalIgnoreCase);
    }

    private string Kept() => new FileInfo(Partial) is { Exists: true, Length: > 0 } file
        ? $"{file.Length:N0} of {model.Bytes:N0} bytes are kept; the next call goes on from there. "
        : "";

    private string Reason(Exception e) => e is OperationCanceledException
        ? $"the server was silent for {Silence.TotalSeconds:N0} seconds."
        : e.Message.TrimEnd('.') + ".";

    // Silence is an OperationCanceledException that nobody asked for.
    private static bool IsPassing(Exception e, CancellationToken cancellationToken) =>
        e is HttpRequestException or IOException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested);

    private static bool MayPass(HttpStatusCode status) => (int)status >= 500 || status is HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests;
}
