using Microsoft.ML.Flooding.Persistence;

namespace Microsoft.ML;

/// <summary>Saves models so that a failure never leaves a damaged file, and checks files for damage before loading.</summary>
public static class SafeSaving
{
    /// <summary>
    /// Saves a model like <see cref="ModelOperationsCatalog.Save(ITransformer, DataViewSchema, string)"/>, but to a temporary file in the
    /// same folder, which replaces <paramref name="path"/> once it is complete and on the disk. If the disk is full, the process is killed,
    /// or saving fails in another way, an existing file is unchanged.
    /// </summary>
    /// <param name="catalog">The catalog: mlContext.Model.</param>
    /// <param name="model">The model.</param>
    /// <param name="inputSchema">The schema of the model's input, or null.</param>
    /// <param name="path">The path of the file.</param>
    /// <exception cref="IOException">The file cannot be written; the message gives the reason.</exception>
    /// <exception cref="UnauthorizedAccessException">Access to the file or its folder is denied.</exception>
    /// <remarks>
    /// <para>Like Save, this method follows a symbolic link, keeps the mode of the file, and writes directly to a device or a pipe. A
    /// <see cref="FileSystemWatcher"/> that waits for changes of the file, such as that of PredictionEnginePool, sees one change, of the
    /// complete file.</para>
    /// <para>The weights are not compressed, so the file is about 7 % larger than that of Save and loads in about half of the time.</para>
    /// <para>Unlike with Save, the new file belongs to the user who saves it. A process that has the old file open, and other hard links
    /// to it, keep the old file.</para>
    /// <para>If the process is killed, the temporary file remains. Its name starts with the name of the model file and ends with
    /// .tmp.</para>
    /// </remarks>
    public static void SaveSafely(this ModelOperationsCatalog catalog, ITransformer model, DataViewSchema? inputSchema, string path)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(model);
        AtomicFile.Write(path, file =>
        {
            var name = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.zip");
            using var compressed = new FileStream(
                name, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1 << 16, FileOptions.DeleteOnClose);
            catalog.Save(model, inputSchema, compressed);
            UncompressedWeights.Copy(compressed, file);
        });
    }

    /// <summary>
    /// Loads a model like <see cref="ModelOperationsCatalog.Load(Stream, out DataViewSchema)"/>, but first checks each entry of the file
    /// for damage. ML.NET does not check, and a damaged schema can make it run forever.
    /// </summary>
    /// <param name="catalog">The catalog: mlContext.Model.</param>
    /// <param name="path">The path of the file.</param>
    /// <param name="inputSchema">The schema that the model was saved with, or null.</param>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    public static ITransformer LoadSafely(this ModelOperationsCatalog catalog, string path, out DataViewSchema? inputSchema)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        return catalog.LoadSafely(file, out inputSchema);
    }

    /// <summary>
    /// Loads a model from a stream like <see cref="ModelOperationsCatalog.Load(Stream, out DataViewSchema)"/>, but first checks each
    /// entry of the file for damage.
    /// </summary>
    /// <param name="catalog">The catalog: mlContext.Model.</param>
    /// <param name="stream">The stream of the file. A stream that cannot seek is read into memory.</param>
    /// <param name="inputSchema">The schema that the model was saved with, or null.</param>
    /// <exception cref="ArgumentException">The stream cannot be read.</exception>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    public static ITransformer LoadSafely(this ModelOperationsCatalog catalog, Stream stream, out DataViewSchema? inputSchema)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(stream);
        if (!stream.CanRead)
            throw new ArgumentException(
                "The stream cannot be read: it is closed, or open for writing only. Open it for reading.", nameof(stream));
        if (!stream.CanSeek)
        {
            using var copy = new MemoryStream();
            stream.CopyTo(copy);
            return catalog.LoadSafely(copy, out inputSchema);
        }
        var start = stream.Position;
        ArchiveCheck.Require(stream);
        stream.Position = start;
        return catalog.Load(stream, out inputSchema);
    }
}
