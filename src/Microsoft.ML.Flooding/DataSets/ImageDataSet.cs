using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML.Flooding;

/// <summary>
/// A published data set: its files, where to download them, and how to load them. <see cref="ImageDataSets"/> lists them.
/// </summary>
public sealed class ImageDataSet
{
    private readonly IReadOnlyList<RemoteFile> _files;
    private readonly Func<DataOperationsCatalog, string, DataSetPart, IDataView> _load;

    internal ImageDataSet(
        string name, string description, IReadOnlyList<RemoteFile> files,
        Func<DataOperationsCatalog, string, DataSetPart, IDataView> load) =>
        (Name, Description, _files, _load) = (name, description, files, load);

    /// <summary>The name on the command line and of the default folder, such as "fashion-mnist".</summary>
    public string Name { get; }

    /// <summary>What the images show, their number and their size.</summary>
    public string Description { get; }

    /// <summary>The names of the files, as they are published.</summary>
    public IReadOnlyList<string> FileNames => [.. _files.Select(file => file.FileName)];

    /// <summary>The bytes of all files together.</summary>
    public long Bytes => _files.Sum(file => file.Bytes);

    /// <summary>The folder that is used by default: datasets/NAME in Microsoft.ML.Flooding in the user's local application data.</summary>
    public string DefaultFolder => Path.Combine(CacheFolder.Of("datasets"), Name);

    /// <summary>
    /// Loads a part into a view with the columns Features (a vector of bytes, [height, width] or [height, width, channels]) and Label (a
    /// key with the names of the classes).
    /// </summary>
    /// <param name="catalog">The data catalog: mlContext.Data.</param>
    /// <param name="part">The training or the test images.</param>
    /// <param name="folder">The folder of the files. Default: <see cref="DefaultFolder"/>.</param>
    /// <exception cref="FileNotFoundException">A file is missing. Call <see cref="Download"/> first.</exception>
    /// <exception cref="InvalidDataException">A file is malformed; the message names it and the offset.</exception>
    /// <remarks>This method reads the files immediately and keeps the data in memory.</remarks>
    public IDataView Load(DataOperationsCatalog catalog, DataSetPart part = DataSetPart.Train, string? folder = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        if (!Enum.IsDefined(part))
            throw new ArgumentOutOfRangeException(nameof(part), part, "This is not a part. Use Train or Test.");
        return _load(catalog, folder ?? DefaultFolder, part);
    }

    /// <summary>
    /// Downloads the files to a folder and checks their SHA-256. Files that the folder has are not downloaded again. An interrupted
    /// download keeps what it has received, and the next call continues from there.
    /// </summary>
    /// <param name="folder">The folder, created if it does not exist. Default: <see cref="DefaultFolder"/>.</param>
    /// <param name="progress">Receives the progress, over all files.</param>
    /// <param name="cancellationToken">Stops the download; the received part is kept.</param>
    /// <returns>The path of the folder.</returns>
    /// <exception cref="IOException">
    /// A file cannot be downloaded or written. The message gives the reason and the path to copy the file to by hand.
    /// </exception>
    /// <exception cref="InvalidDataException">The server sends a different file.</exception>
    /// <exception cref="OperationCanceledException">The download was canceled.</exception>
    public string Download(
        string? folder = null, IProgress<DownloadProgress>? progress = null, CancellationToken cancellationToken = default) =>
        DownloadAsync(folder, progress, cancellationToken).GetAwaiter().GetResult();

    /// <inheritdoc cref="Download"/>
    public async Task<string> DownloadAsync(
        string? folder = null, IProgress<DownloadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        folder ??= DefaultFolder;
        var earlier = 0L;
        foreach (var file in _files)
        {
            file.Validate();
            var all = progress is null ? null : new Sum(progress, earlier, Bytes);
            await new FileDownload(file, folder).RunAsync(all, cancellationToken).ConfigureAwait(false);
            earlier += file.Bytes;
        }
        return folder;
    }

    /// <summary>The same data set from another server, whose folder has files of the same names.</summary>
    /// <param name="server">The http or https address of the folder; it ends with a slash.</param>
    public ImageDataSet WithMirror(Uri server)
    {
        ArgumentNullException.ThrowIfNull(server);
        return new(Name, Description, [.. _files.Select(file => file with { Address = new Uri(server, file.FileName) })], _load);
    }

    /// <summary>The name.</summary>
    public override string ToString() => Name;

    /// <summary>Adds what the files before have.</summary>
    private sealed class Sum(IProgress<DownloadProgress> progress, long earlier, long total) : IProgress<DownloadProgress>
    {
        public void Report(DownloadProgress value) => progress.Report(new DownloadProgress(earlier + value.Received, total));
    }
}
