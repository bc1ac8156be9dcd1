using System.Formats.Tar;
using System.IO.Compression;
using System.Text;

namespace Microsoft.ML.Flooding.DataSets;

/// <summary>
/// The binary files of CIFAR-10 or CIFAR-100, in the published .tar.gz archive or in a folder. An image is a record: its labels, one byte
/// each, and 32 x 32 red, green and blue values, row by row.
/// </summary>
/// <param name="Archive">The name of the archive.</param>
/// <param name="InnerFolder">The folder in the archive.</param>
/// <param name="NamesFile">The text file with the name of a class on each line.</param>
/// <param name="LabelBytes">The number of labels of a record. The last one is the class.</param>
internal sealed record CifarFiles(string Archive, string InnerFolder, string NamesFile, int LabelBytes)
{
    private const int Side = 32;
    private const int Channels = 3;
    private const int Plane = Side * Side;

    /// <summary>Reads files of a folder.</summary>
    /// <param name="catalog">The data catalog.</param>
    /// <param name="folder">A folder with the archive, with its inner folder, or with the files themselves.</param>
    /// <param name="batches">The files to read, in the order of the rows.</param>
    /// <exception cref="FileNotFoundException">The folder has no such file.</exception>
    /// <exception cref="InvalidDataException">A file is malformed; the message names it and the offset.</exception>
    public IDataView Read(DataOperationsCatalog catalog, string folder, IReadOnlyList<string> batches)
    {
        var contents = ReadContents(folder, [NamesFile, .. batches]);
        var names = Encoding.UTF8.GetString(contents[NamesFile].Content)
            .Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (names.Length is 0 or > 256)
            throw new InvalidDataException($"{contents[NamesFile].Place}, offset 0: the file must have the name of a class on each line.");
        LabeledPixels[] rows = [.. batches.SelectMany(batch => Parse(contents[batch].Content, contents[batch].Place, names.Length))];
        return LabeledPixels.ToDataView(catalog, rows, [Side, Side, Channels], names);
    }

    private IEnumerable<LabeledPixels> Parse(byte[] content, string place, int classes)
    {
        var length = LabelBytes + (Plane * Channels);
        if (content.Length == 0 || content.Length % length != 0)
            throw new InvalidDataException(
                $"{place}, offset {content.Length - (content.Length % length)}: the file is truncated or not in the binary format. It has "
                + $"{content.Length} bytes, which is not a positive multiple of a record's {length}.");
        for (var start = 0; start < content.Length; start += length)
        {
            var label = content[start + LabelBytes - 1];
            if (label >= classes)
                throw new InvalidDataException(
                    $"{place}, offset {start + LabelBytes - 1}: the label is {label}, but {NamesFile} has {classes} classes.");
            var pixels = new byte[Plane * Channels];
            for (var i = 0; i < Plane; i++)
            {
                for (var channel = 0; channel < Channels; channel++)
                    pixels[(i * Channels) + channel] = content[start + LabelBytes + (channel * Plane) + i];
            }
            yield return new LabeledPixels(pixels, label);
        }
    }

    private Dictionary<string, (byte[] Content, string Place)> ReadContents(string folder, IReadOnlyList<string> names)
    {
        string[] folders = [folder, Path.Combine(folder, InnerFolder)];
        var archive = Path.Combine(folder, Archive);
        if (folders.FirstOrDefault(candidate => File.Exists(Path.Combine(candidate, names[^1]))) is { } extracted)
        {
            return names.ToDictionary(name => name, name =>
            {
                var path = Path.Combine(extracted, name);
                return File.Exists(path) ? (File.ReadAllBytes(path), $"'{path}'") : throw Missing(name, extracted);
            });
        }
        return File.Exists(archive)
            ? ReadArchive(archive, names)
            : throw new FileNotFoundException($"The folder '{folder}' has neither '{Archive}' nor '{names[^1]}'.", archive);
    }

    private static Dictionary<string, (byte[] Content, string Place)> ReadArchive(string archive, IReadOnlyList<string> names)
    {
        var found = new Dictionary<string, (byte[], string)>();
        try
        {
            using var tar = new TarReader(new GZipStream(File.OpenRead(archive), CompressionMode.Decompress));
            while (found.Count < names.Count && tar.GetNextEntry() is { } entry)
            {
                var name = Path.GetFileName(entry.Name);
                if (!names.Contains(name) || entry.EntryType is TarEntryType.Directory)
                    continue;
                using var content = new MemoryStream();
                entry.DataStream?.CopyTo(content);
                found[name] = (content.ToArray(), $"'{archive}', entry {entry.Name}");
            }
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException)
        {
            throw new InvalidDataException(
                $"'{archive}' is truncated or damaged, after {found.Count} of {names.Count} entries: {e.Message}", e);
        }
        return names.FirstOrDefault(name => !found.ContainsKey(name)) is { } missing ? throw Missing(missing, archive) : found;
    }

    private static FileNotFoundException Missing(string name, string place) =>
        new($"'{place}' has no file '{name}'. Get the complete binary version of the data set.", name);
}
