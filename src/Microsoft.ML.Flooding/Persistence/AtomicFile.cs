namespace Microsoft.ML.Flooding.Persistence;

/// <summary>Files that are there as a whole or not at all.</summary>
internal static class AtomicFile
{
    // A name has at most 255 bytes; 60 characters take at most 180 of them.
    private const int LongestPrefix = 60;

    /// <summary>
    /// Writes a temporary file in the same folder, which takes the place of <paramref name="path"/> once it is on the disk. A link stays, and what it
    /// leads to is replaced; the file keeps its mode. A device or a pipe is written to as it is.
    /// </summary>
    /// <param name="path">Where to; the name of the temporary file begins with its name and ends with .tmp.</param>
    /// <param name="write">Writes the content.</param>
    /// <exception cref="IOException">The file cannot be written; the one that was there before is there still.</exception>
    /// <exception cref="UnauthorizedAccessException">The file or its folder may not be written to, or the path is that of a folder.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        UnixFileMode? mode = null;
        // Fails as writing in place does: for a file that is read-only, locked, a folder, or in a folder that is missing.
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
            throw new DirectoryNotFoundException($"There is no folder '{folder}' to write '{name}' to.");
        var temporary = Path.Combine(folder, $"{name[..Math.Min(name.Length, LongestPrefix)]}.{Path.GetRandomFileName()}.tmp");
        try
        {
            using (var file = Create(temporary, mode))
            {
                write(file);
                file.Flush(flushToDisk: true);
            }
            // On Windows, unlike a move, this keeps attributes and access rights.
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
            // Those who read the file do not mind: they keep the old one.
            return new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    /// <summary>Whether it can be replaced: .NET does not say what kind a file is, but a device has no length and does not get one.</summary>
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
            // The process's umask took bits away.
            if (!OperatingSystem.IsWindows() && mode is { } asked && File.GetUnixFileMode(file.SafeFileHandle) != asked)
                File.SetUnixFileMode(file.SafeFileHandle, asked);
            return file;
        }
        catch (UnauthorizedAccessException e)
        {
            throw new UnauthorizedAccessException(
                $"The folder '{Path.GetDirectoryName(path)}' may not be written to: the new file is written beside the old one and takes its place. " +
                "mlContext.Model.Save writes into the old one.", e);
        }
    }

    /// <summary>Whoever watches the file, such as a PredictionEnginePool, waits for a change of it, and a new name is none.</summary>
    private static void Touch(string path)
    {
        try
        {
            File.SetLastWriteTimeUtc(path, DateTime.UtcNow);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The file is there, which is what was asked for.
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
            // What went wrong before matters more.
        }
    }
}
