using System.Collections.Concurrent;
using Microsoft.ML.Flooding.Distribution;

namespace Microsoft.ML.Flooding.Orleans;

/// <summary>The files of a worker: those that clients sent, and those of the shared folder.</summary>
/// <param name="cacheFolder">Deleted in the end.</param>
/// <param name="sharedFolder">The shared folder; null if there is none.</param>
internal sealed class WorkerFiles(string cacheFolder, string? sharedFolder) : IDisposable
{
    private readonly ConcurrentDictionary<string, Lazy<Task<bool>>> _pixels = [];

    /// <summary>Brings what a run needs to this machine.</summary>
    /// <param name="id">The run.</param>
    /// <param name="owner">The process that has the files.</param>
    /// <param name="cancellationToken">Ends the transfer.</param>
    /// <returns>The files, and whether they are in the shared folder; null if the process no longer wants the run.</returns>
    public async Task<(RunFolder Folder, bool IsShared)?> Fetch(string id, IOwnerObserver owner, CancellationToken cancellationToken)
    {
        if (await owner.FilesOf(id).ConfigureAwait(false) is not { } files)
            return null;
        if (sharedFolder is not null && files.Folder is { } relative
            && Path.Combine(sharedFolder, relative) is var shared && File.Exists(Path.Combine(shared, RunFolder.Run)))
            return (new RunFolder(shared), true);
        foreach (var (digest, length) in files.Pixels)
        {
            if (File.Exists(PathOf(digest, length)))
                continue;
            var fetching = _pixels.GetOrAdd(digest, _ => new Lazy<Task<bool>>(() => FetchFile(
                id, digest, PathOf(digest), owner, cancellationToken)));
            try
            {
                if (!await fetching.Value.ConfigureAwait(false))
                    return null;
            }
            finally
            {
                _pixels.TryRemove(digest, out _);
            }
        }
        var folder = new RunFolder(Path.Combine(cacheFolder, id));
        foreach (var name in files.Names.Keys)
        {
            if (!await FetchFile(id, name, folder.PathOf(name), owner, cancellationToken).ConfigureAwait(false))
                return null;
        }
        return (folder, false);
    }

    /// <summary>The path of pixels, in the shared folder if they are there.</summary>
    /// <param name="digest">The digest.</param>
    /// <param name="length">The length of the file; null: the path in the cache.</param>
    public string PathOf(string digest, long? length = null)
    {
        if (length is not null && sharedFolder is not null && ClusterExecutor.SharedPixels(sharedFolder, digest) is var shared
            && File.Exists(shared) && new FileInfo(shared).Length == length)
            return shared;
        return Path.Combine(cacheFolder, digest);
    }

    /// <summary>Deletes the files of a run that were sent.</summary>
    public void Forget(string id)
    {
        if (Path.Combine(cacheFolder, id) is var folder && Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
    }

    public void Dispose()
    {
        if (Directory.Exists(cacheFolder))
            Directory.Delete(cacheFolder, recursive: true);
    }

    private static async Task<bool> FetchFile(
        string id, string name, string path, IOwnerObserver owner, CancellationToken cancellationToken)
    {
        var temporary = path + ".part";
        var file = File.Create(temporary);
        await using (file.ConfigureAwait(false))
        {
            while (true)
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (await owner.Read(id, name, file.Length).WaitAsync(cancellationToken).ConfigureAwait(false) is not { } piece)
                    return false;
                if (piece.Value.Length == 0)
                    break;
                await file.WriteAsync(piece.Value, cancellationToken).ConfigureAwait(false);
            }
        }
        File.Move(temporary, path, overwrite: true);
        return true;
    }
}
