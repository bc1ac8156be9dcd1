using System.CommandLine;
using System.IO.Compression;
using Microsoft.ML.Data;

namespace Mlflood.Data;

/// <summary>
/// The argument DATA: a folder with a subfolder for each class, a .csv or .tsv file of paths and labels, a .zip file of either, or the name
/// of a data set.
/// </summary>
internal sealed class DataArgument : IDisposable
{
    private readonly MLContext _context;
    private readonly string _labelColumn;
    private readonly ImageColumns _columns;
    private readonly List<DirectoryInfo> _extracted = [];

    /// <param name="context">The context that lists the files.</param>
    /// <param name="labelColumn">The label column of a .csv or .tsv file.</param>
    /// <param name="columns">The optional columns of a .csv or .tsv file.</param>
    public DataArgument(MLContext context, string labelColumn = "Label", ImageColumns? columns = null) =>
        (_context, _labelColumn, _columns) = (context, labelColumn, columns ?? new ImageColumns());

    /// <summary>A required argument of a command.</summary>
    public static Argument<string> Create() => new("DATA")
    {
        Description = "A folder with a subfolder of images for each class, a .csv or .tsv file of paths and labels, a .zip file of either, "
            + "or the name of a data set, such as fashion-mnist or fashion-mnist:test.",
    };

    /// <summary>Whether the text names a data set, whose parts are published.</summary>
    public static ImageDataSet? DataSetOf(string text) => Exists(text)
        ? null
        : ImageDataSets.All.FirstOrDefault(set => set.Name.Equals(text.Split(':')[0], StringComparison.OrdinalIgnoreCase));

    /// <summary>Loads the images.</summary>
    /// <param name="text">The argument.</param>
    /// <param name="part">The part of a data set that is meant if the text names none.</param>
    /// <exception cref="Failure">There are no such data.</exception>
    public ImageData Load(string text, DataSetPart part)
    {
        if (DataSetOf(text) is { } set)
            return LoadDataSet(set, text, part);
        var data = Directory.Exists(text) ? LoadFolder(text)
            : !File.Exists(text) ? throw new Failure(
                $"'{text}' is not a folder, a .csv, .tsv or .zip file, or the name of a data set. The data sets are "
                + $"{string.Join(", ", ImageDataSets.All)}.")
            : Path.GetExtension(text).ToUpperInvariant() switch
            {
                ".ZIP" => LoadArchive(text),
                ".CSV" => LoadTable(text, ','),
                ".TSV" => LoadTable(text, '\t'),
                _ => throw new Failure($"'{text}' is not a .csv, .tsv or .zip file. Rename it, or give a folder."),
            };
        return data;
    }

    public void Dispose()
    {
        foreach (var folder in _extracted)
            folder.Delete(recursive: true);
    }

    private static bool Exists(string text) => Directory.Exists(text) || File.Exists(text);

    private ImageData LoadFolder(string path)
    {
        var view = _context.Data.LoadFromImageFolder(path);
        var root = Path.GetFullPath(path);
        return new ImageData(
            [.. _context.Data.CreateEnumerable<FolderRow>(view, reuseRowObject: false).Select(row => new ImageRow
            {
                Label = row.Label,
                FilePath = row.ImagePath,
                Name = Path.GetRelativePath(root, row.ImagePath),
            })], pixelType: null, new ImageColumns());
    }

    private ImageData LoadArchive(string path)
    {
        var folder = Directory.CreateTempSubdirectory("mlflood-");
        _extracted.Add(folder);
        ZipFile.ExtractToDirectory(path, folder.FullName);

        // Archives often have everything in one folder.
        var inner = folder.FullName;
        while (Directory.GetFiles(inner) is [] && Directory.GetDirectories(inner) is [var only])
            inner = only;
        string[] tables = [.. Directory.GetFiles(inner).Where(file => Path.GetExtension(file).ToUpperInvariant() is ".CSV" or ".TSV")];
        return tables.Length switch
        {
            0 => LoadFolder(inner),
            1 => LoadTable(tables[0], Path.GetExtension(tables[0]).Equals(".tsv", StringComparison.OrdinalIgnoreCase) ? '\t' : ','),
            _ => throw new Failure($"'{path}' has {tables.Length} .csv and .tsv files. Leave one of them in the archive."),
        };
    }

    private ImageData LoadTable(string path, char separator)
    {
        var lines = ReadTable(path, separator);
        if (lines.Count == 0)
            throw new Failure($"'{path}' is empty. Write a line with the path and the label of each image.");
        var header = lines[0];
        var label = Find(_labelColumn);
        var hasHeader = label >= 0;
        var image = hasHeader ? ImageColumnOf(header, label) : 0;
        if (!hasHeader)
        {
            label = 1;
            if (header.Length < 2 || _columns != new ImageColumns())
                throw new Failure(
                    $"'{path}' has no column '{_labelColumn}'. Name the columns in the first line, or write the path and the label in the "
                    + "first two columns; --label-column-name names another label column.");
        }
        var (weight, group) = (FindOptional(_columns.Weight), FindOptional(_columns.Group));
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        var rows = new List<ImageRow>();
        foreach (var (line, index) in lines.Select((line, i) => (line, i)).Skip(hasHeader ? 1 : 0))
        {
            if (line[image].Length == 0 || line[label].Length == 0)
                throw new Failure($"'{path}', line {index + 1}: the path or the label is empty.");
            rows.Add(new ImageRow
            {
                Label = line[label],
                FilePath = Path.GetFullPath(line[image], folder),
                Name = line[image],
                Weight = weight < 0 ? 1 : (float)Options.ValueText.Parse(typeof(float), line[weight])!,
                Group = group < 0 ? "" : line[group],
            });
        }
        if (rows.FirstOrDefault(row => !File.Exists(row.FilePath)) is { } missing)
            throw new Failure(
                $"'{path}' names the image '{missing.Name}', but there is no file '{missing.FilePath}'. Paths are relative to the "
                + "folder of the .csv or .tsv file.");
        return new ImageData(rows, pixelType: null, _columns);

        int Find(string name) => Array.FindIndex(header, cell => cell.Equals(name, StringComparison.OrdinalIgnoreCase));

        int FindOptional(string? name) => name is null ? -1
            : Find(name) is >= 0 and var index ? index
            : throw new Failure($"'{path}' has no column '{name}'. Its columns are {string.Join(", ", header)}.");
    }

    private static int ImageColumnOf(string[] header, int label)
    {
        string[] usual = ["ImagePath", "Path", "File", "FilePath", "FileName", "Image"];
        var named = Array.FindIndex(header, cell => usual.Contains(cell, StringComparer.OrdinalIgnoreCase));
        return named >= 0 ? named : label == 0 ? 1 : 0;
    }

    private List<string[]> ReadTable(string path, char separator)
    {
        var columns = File.ReadLines(path).FirstOrDefault("").Split(separator).Length;
        var table = _context.Data.CreateTextLoader(new TextLoader.Options
        {
            Separators = [separator],
            AllowQuoting = true,
            TrimWhitespace = true,
            Columns = [new TextLoader.Column("Cells", DataKind.String, 0, columns - 1)],
        }).Load(path);
        var lines = new List<string[]>();
        var cells = default(VBuffer<ReadOnlyMemory<char>>);
        using var cursor = table.GetRowCursor(table.Schema);
        var read = cursor.GetGetter<VBuffer<ReadOnlyMemory<char>>>(table.Schema["Cells"]);
        while (cursor.MoveNext())
        {
            read(ref cells);
            lines.Add([.. cells.DenseValues().Select(cell => cell.ToString())]);
        }
        return lines;
    }

    private ImageData LoadDataSet(ImageDataSet set, string text, DataSetPart part)
    {
        if (text.Split(':') is [_, var given])
            part = (DataSetPart)Options.ValueText.Parse(typeof(DataSetPart), given)!;
        IDataView view;
        try
        {
            view = set.Load(_context.Data, part);
        }
        catch (FileNotFoundException e)
        {
            throw new Failure($"{e.Message} Run 'mlflood datasets get {set}'.");
        }
        var pixels = (VectorDataViewType)view.Schema["Features"].Type;
        var names = default(VBuffer<ReadOnlyMemory<char>>);
        view.Schema["Label"].GetKeyValues(ref names);
        string[] labels = [.. names.DenseValues().Select(name => name.ToString())];
        return new ImageData(
            [.. _context.Data.CreateEnumerable<PixelRow>(view, reuseRowObject: false).Select((row, i) => new ImageRow
            {
                Label = labels[row.Label - 1],
                Name = $"{set}:{part.ToString().ToLowerInvariant()} {i}",
                Pixels = row.Features,
            })], pixels, new ImageColumns());
    }

    private sealed class FolderRow
    {
        public string Label { get; set; } = "";

        public string ImagePath { get; set; } = "";
    }

    private sealed class PixelRow
    {
        public uint Label { get; set; }

        public byte[] Features { get; set; } = [];
    }
}
