namespace Microsoft.ML.Flooding.Persistence;

/// <summary>Writes files either completely or not at all.</summary>
internal static class AtomicFile
{
    // A file name has at most 255 bytes; 60 characters take at most 180 of them.
    private const int LongestPrefix = 60;

    /// <summary>
    /// Writes a temporary file in the same folder and, once it is on the disk, replaces <paramref name="path"/> with it. A symbolic link is
    /// kept and its target is replaced; the file keeps its mode. A device or a pipe is written to directly.
    /// </summary>
    /// <param name="path">
    /// The path of the file. The name of the temporary file starts with the name of this file and ends with .tmp.
    /// </param>
    /// <param name="write">Writes the content.</param>
    /// <exception cref="IOException">The file cannot be written. An existing file is unchanged.</exception>
    /// <exception cref="UnauthorizedAccessException">Access to the file or its folder is denied, or the path is a folder.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        UnixFileMode? mode = null;
        // Fails as writing in place does: if the file is read-only, locked or a folder, or if its folder does not exist.
        using (var existing = OpenExisting(path))
        {
            if (existing is not null && !IsRegular(existing))
            {
                write(existing);
                existing.Flush(flushToDisk: true);
                return;
            }
            if (existing is not null && !OperatingSystem.IsWindows())
                mode = File.GetUnixFileMode(existing.SafeFileHandle);
        }
        var file = new FileInfo(path);
        Replace(file.LinkTarget is null ? file.FullName : file.ResolveLinkTarget(returnFinalTarget: true)!.FullName, mode, write);
    }

    private static void Replace(string path, UnixFileMode? mode, Action<Stream> write)
    {
        var (folder, name) = (Path.GetDirectoryName(path)!, Path.GetFileName(path));
        if (!Directory.Exists(folder))
            throw new DirectoryNotFoundException($"The folder '{folder}' for the file '{name}' does not exist. Create it.");
        var temporary = Path.Combine(folder, $"{name[..Math.Min(name.Length, LongestPrefix)]}.{Path.GetRandomFileName()}.tmp");
        try
        {
            using (var file = Create(temporary, mode))
            {
                write(file);
                file.Flush(flushToDisk: true);
            }
            // On Windows, this keeps attributes and access rights; a move does not.
            if (File.Exists(path))
                File.Replace(temporary, path, null, ignoreMetadataErrors: true);
            else
                File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            TryDelete(temporary);
            throw;
        }
        Touch(path);
    }

    private static FileStream? OpenExisting(string path)
    {
        try
        {
            // Readers are not affected: they keep the old file.
            return new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    /// <summary>
    /// Whether the file can be replaced. .NET does not report the kind of a file, but the length of a device is always 0.
    /// </summary>
    private static bool IsRegular(FileStream file)
    {
        if (!file.CanSeek)
            return false;
        if (file.Length > 0)
            return true;
        file.SetLength(1);
        if (file.Length == 0)
            return false;
        file.SetLength(0);
        return true;
    }

    private static FileStream Create(string path, UnixFileMode? mode)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.ReadWrite };
        if (!OperatingSystem.IsWindows() && mode is not null)
            options.UnixCreateMode = mode;
        try
        {
            var file = new FileStream(path, options);
            // The umask of the process may have cleared bits.
            if (!OperatingSystem.IsWindows() && mode is { } requested && File.GetUnixFileMode(file.SafeFileHandle) != requested)
                File.SetUnixFileMode(file.SafeFileHandle, requested);
            return file;
        }
        catch (UnauthorizedAccessException e)
        {
            throw new UnauthorizedAccessException(
                $"Access to the folder '{Path.GetDirectoryName(path)}' is denied. The new file is written to this folder before it "
                + "replaces the old one. Grant write access, or use mlContext.Model.Save, which overwrites the old file in place.", e);
        }
    }

    /// <summary>
    /// Changes the time of the last write. A watcher such as PredictionEnginePool waits for a change of the file, and a rename is not one.
    /// </summary>
    private static void Touch(string path)
    {
        try
        {
            File.SetLastWriteTimeUtc(path, DateTime.UtcNow);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The file is written, which is what the caller needs.
        }
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The earlier error matters more.
        }
    }
}
