using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>
/// Downloads a file to a folder. The file appears there only when it is complete and checked; until then its content is in a file with the
/// suffix .partial.
/// </summary>
internal sealed class FileDownload(RemoteFile remote, string folder)
{
    private const int MostAttempts = 5;
    private const int BufferSize = 1 << 16;

    // The time limit applies to each wait for data, not to the whole download: a slow connection is not an error.
    private static readonly HttpClient Client = new(new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.FromMinutes(5) })
    {
        Timeout = Timeout.InfiniteTimeSpan,
    };

    private readonly string _path = Path.GetFullPath(Path.Combine(folder, remote.FileName));

    /// <summary>How long the server can send nothing before the download reconnects. Default: 60 seconds.</summary>
    public TimeSpan Silence { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The pause before the second attempt; each later pause is twice as long. Default: 1 second.</summary>
    public TimeSpan Pause { get; init; } = TimeSpan.FromSeconds(1);

    private string Partial => _path + ".partial";

    private string ByHand =>
        $"Without a network, download the file elsewhere and copy it to '{_path}' ({remote.Bytes:N0} bytes; its SHA-256 starts with "
        + $"{remote.Sha256[..8].ToLowerInvariant()}).";

    /// <summary>Downloads the file, unless the folder has it.</summary>
    /// <returns>The path of the file.</returns>
    /// <exception cref="IOException">The file cannot be downloaded or written.</exception>
    /// <exception cref="InvalidDataException">The server sends a different file.</exception>
    /// <exception cref="OperationCanceledException">The download was canceled.</exception>
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
                // If it was resumed, the part of the earlier attempt may belong to a different file.
                if (!resumed)
                {
                    throw new InvalidDataException(
                        $"'{remote.Address}' sends a different file: its SHA-256 does not start with {remote.Sha256}. {ByHand}");
                }
            }
            catch (Exception e) when (IsPassing(e, cancellationToken))
            {
                if (attempt == MostAttempts || (e is HttpRequestException { StatusCode: { } status } && !MayPass(status)))
                    throw new IOException($"'{remote.Address}' cannot be downloaded: {Reason(e)} {Kept()}{ByHand}", e);
            }
            await Task.Delay(Pause * Math.Pow(2, attempt - 1), cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Requests the missing part of the file and appends it.</summary>
    /// <returns>Whether a part of the file is from an earlier attempt.</returns>
    private async Task<bool> ReceiveAsync(IProgress<DownloadProgress>? progress, CancellationToken cancellationToken)
    {
        using var file = new FileStream(Partial, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        if (file.Length > remote.Bytes)
            file.SetLength(0);
        if (file.Length == remote.Bytes)
            return true;
        using var silence = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        silence.CancelAfter(Silence);
        using var request = new HttpRequestMessage(HttpMethod.Get, remote.Address);
        if (file.Length > 0)
            request.Headers.Range = new RangeHeaderValue(file.Length, null);
        using var response = await Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, silence.Token).ConfigureAwait(false);
        if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
        {
            file.SetLength(0);
            throw new IOException("The server does not have the missing part.");
        }
        response.EnsureSuccessStatusCode();
        var resumes = response.StatusCode == HttpStatusCode.PartialContent && response.Content.Headers.ContentRange?.From == file.Length;
        if (!resumes)
            file.SetLength(0);
        if (response.Content.Headers.ContentLength is { } length && file.Length + length != remote.Bytes)
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
            if (file.Length + read > remote.Bytes)
                throw Another(file.Length + read, response);
            await file.WriteAsync(buffer.AsMemory(0, read), cancellationToken).ConfigureAwait(false);
            await file.FlushAsync(cancellationToken).ConfigureAwait(false);
            progress?.Report(new DownloadProgress(file.Length, remote.Bytes));
        }
        return file.Length == remote.Bytes
            ? resumes
            : throw new IOException("The connection was closed before the end of the file.");
    }

    private InvalidDataException Another(long length, HttpResponseMessage response)
    {
        var kind = response.Content.Headers.ContentType?.MediaType is { } type ? $" of {type}" : "";
        return new(
            $"'{remote.Address}' sends a different file: {length:N0} bytes or more{kind} instead of {remote.Bytes:N0}. The response may "
            + $"come from a proxy or a login page. {ByHand}");
    }

    private async Task<bool> IsRightAsync(string path, CancellationToken cancellationToken)
    {
        if (new FileInfo(path) is not { Exists: true } info || info.Length != remote.Bytes)
            return false;
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        var digest = Convert.ToHexString(await SHA256.HashDataAsync(file, cancellationToken).ConfigureAwait(false));
        return digest.StartsWith(remote.Sha256, StringComparison.OrdinalIgnoreCase);
    }

    private string Kept() => new FileInfo(Partial) is { Exists: true, Length: > 0 } file
        ? $"{file.Length:N0} of {remote.Bytes:N0} bytes are kept; the next call continues from there. "
        : "";

    private string Reason(Exception e) => e is OperationCanceledException
        ? $"the server sent nothing for {Silence.TotalSeconds:N0} seconds."
        : e.Message.TrimEnd('.') + ".";

    // A timeout is an OperationCanceledException that the caller did not request.
    private static bool IsPassing(Exception e, CancellationToken cancellationToken) =>
        e is HttpRequestException or IOException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested);

    private static bool MayPass(HttpStatusCode status) =>
        (int)status >= 500 || status is HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests;
}
