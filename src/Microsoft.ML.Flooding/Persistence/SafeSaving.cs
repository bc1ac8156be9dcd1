using Microsoft.ML.Flooding.Persistence;

namespace Microsoft.ML;

/// <summary>Saving of models that leaves a good file behind, whatever happens, and loading that finds damage first.</summary>
public static class SafeSaving
{
    /// <summary>
    /// Saves a model as <see cref="ModelOperationsCatalog.Save(ITransformer, DataViewSchema, string)"/> does, but into a temporary file of the
    /// same folder that takes the place of <paramref name="path"/> once it is whole and on the disk. If the disk is full, the process is killed
    /// or anything else fails on the way, the file that was there before is there still.
    /// </summary>
    /// <param name="catalog">The catalog: mlContext.Model.</param>
    /// <param name="model">The model.</param>
    /// <param name="inputSchema">The schema of the data that the model takes, or null.</param>
    /// <param name="path">Where to.</param>
    /// <exception cref="IOException">The file cannot be written; the message says why.</exception>
    /// <exception cref="UnauthorizedAccessException">The file or its folder may not be written to.</exception>
    /// <remarks>
    /// <para>As with Save, a symbolic link is followed, the file keeps its mode, and a device or a pipe is written to as it is. A
    /// <see cref="FileSystemWatcher"/> that waits for changes of the file, as a PredictionEnginePool does, sees one, of the whole file.</para>
    /// <para>Unlike with Save, the file belongs to the user who saved it, whoever has the old one open keeps that, and so does another hard link to it.</para>
    /// <para>A process that is killed leaves the temporary file: its name begins with that of the model and ends with .tmp.</para>
    /// </remarks>
    public static void SaveSafely(this ModelOperationsCatalog catalog, ITransformer model, DataViewSchema? inputSchema, string path)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(model);
        AtomicFile.Write(path, file => catalog.Save(model, inputSchema, file));
    }

    /// <summary>
    /// Loads a model as <see cref="ModelOperationsCatalog.Load(Stream, out DataViewSchema)"/> does, once every entry of the file is found to be
    /// what was saved. ML.NET itself does not look, and a damaged schema can keep it busy without end.
    /// </summary>
    /// <param name="catalog">The catalog: mlContext.Model.</param>
    /// <param name="path">The file.</param>
    /// <param name="inputSchema">The schema that it was saved with, or null.</param>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    public static ITransformer LoadSafely(this ModelOperationsCatalog catalog, string path, out DataViewSchema? inputSchema)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        return catalog.LoadSafely(file, out inputSchema);
    }

    /// <inheritdoc cref="LoadSafely(ModelOperationsCatalog, string, out DataViewSchema?)"/>
    /// <param name="catalog">The catalog: mlContext.Model.</param>
    /// <param name="stream">The file; one that cannot seek is read into memory.</param>
    /// <param name="inputSchema">The schema that it was saved with, or null.</param>
    /// <exception cref="ArgumentException">The stream cannot be read.</exception>
    public static ITransformer LoadSafely(this ModelOperationsCatalog catalog, Stream stream, out DataViewSchema? inputSchema)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(stream);
        if (!stream.CanRead)
            throw new ArgumentException("The stream cannot be read: it is closed, or open for writing alone.", nameof(stream));
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
