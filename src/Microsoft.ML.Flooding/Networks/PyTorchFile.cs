using System.Collections.Immutable;
using System.IO.Compression;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>
/// A file that torch.save wrote, in the format since PyTorch 1.6: a .zip with a pickle of the tensors' names and shapes, <c>data.pkl</c>,
/// and the bytes of each storage, <c>data/KEY</c>. Nothing in it is executed. No tensor takes more memory than the length of the file or 64
/// MB, whichever is larger.
/// </summary>
internal sealed class PyTorchFile : TensorFile
{
    private const int LongestPickle = 32 << 20;

    // torch.save does not compress, but other programs do, and zeros become very small.
    private const long LeastLimit = 64 << 20;

    private readonly ZipArchive _archive;
    private readonly Dictionary<string, (PickledTensor Tensor, ZipArchiveEntry Storage)> _byName = [];

    private PyTorchFile(ZipArchive archive, long length)
    {
        _archive = archive;
        var entries = new Dictionary<string, ZipArchiveEntry>();
        foreach (var entry in archive.Entries)
        {
            if (!entries.TryAdd(entry.FullName, entry))
                throw new InvalidDataException($"The .zip has two entries '{entry.FullName}'.");
        }
        var root = RootOf(entries);
        if (entries.TryGetValue(root + "byteorder", out var order) && ReadAll(order, 16).AsSpan().SequenceEqual("big"u8))
            throw new InvalidDataException("A big-endian computer wrote it. " + StateDictPickle.Remedy);
        var tensors = ImmutableArray.CreateBuilder<TensorEntry>();
        foreach (var (name, tensor) in StateDictPickle.Read(ReadAll(entries[root + "data.pkl"], LongestPickle)))
        {
            var claimed = Math.Max(tensor.Bytes, tensor.Extent * tensor.ElementSize);
            if (claimed > Math.Max(length, LeastLimit))
                throw new InvalidDataException($"The tensor '{name}' claims {claimed:N0} bytes in a file of {length:N0}.");
            var storage = $"{root}data/{tensor.Storage.Key}";
            if (!entries.TryGetValue(storage, out var entry))
            {
                throw new InvalidDataException(
                    $"The entry '{storage}' with the values of '{name}' is missing. Copy or download the file again.");
            }
            if (entry.Length < tensor.Storage.Bytes)
                throw new InvalidDataException($"The entry '{storage}' has only {entry.Length:N0} of {tensor.Storage.Bytes:N0} bytes.");
            _byName.Add(name, (tensor, entry));
            tensors.Add(new TensorEntry(name, tensor.Type, tensor.Shape));
        }
        Entries = tensors.ToImmutable();
    }

    public override IReadOnlyList<TensorEntry> Entries { get; }

    public override IReadOnlyDictionary<string, string> Metadata => ImmutableDictionary<string, string>.Empty;

    /// <summary>Whether the first bytes of a file are those of a .zip.</summary>
    public static bool IsZip(ReadOnlySpan<byte> start) => start.StartsWith("PK\u0003\u0004"u8) || start.StartsWith("PK\u0005\u0006"u8);

    /// <summary>Reads from a seekable stream, which is closed together with the file.</summary>
    /// <exception cref="InvalidDataException">The stream is not a file of tensors from torch.save; the message says what it is.</exception>
    public static PyTorchFile Read(Stream stream)
    {
        ZipArchive archive;
        try
        {
            archive = new ZipArchive(stream, ZipArchiveMode.Read);
            // Reads the directory at the end of the file.
            _ = archive.Entries;
        }
        catch (InvalidDataException e)
        {
            throw new InvalidDataException($"It starts as a .zip, but is cut off or damaged ({e.Message}). Copy or download it again.", e);
        }
        return new PyTorchFile(archive, stream.Length);
    }

    public override Tensor Load(string name)
    {
        if (!_byName.TryGetValue(name, out var found))
            throw new KeyNotFoundException($"The file has no tensor '{name}'.");
        var (tensor, entry) = found;
        using var scope = NewDisposeScope();
        var values = empty([tensor.Extent], tensor.Type, CPU);
        using (var stream = entry.Open())
        {
            Skip(stream, tensor.Offset * tensor.ElementSize);
            Fill(values, stream, name);
        }
        return tensor.Extent == 0
            ? empty([.. tensor.Shape], tensor.Type, CPU).MoveToOuterDisposeScope()
            : values.as_strided([.. tensor.Shape], [.. tensor.Strides]).contiguous().MoveToOuterDisposeScope();
    }

    public override void Dispose() => _archive.Dispose();

    /// <summary>The folder of the archive's entries, with the slash.</summary>
    private static string RootOf(Dictionary<string, ZipArchiveEntry> entries)
    {
        var names = entries.Keys;
        var roots = names.Where(name => name.EndsWith("/data.pkl", StringComparison.Ordinal)).Select(name => name[..^"data.pkl".Length])
            .Where(root => root.IndexOf('/', StringComparison.Ordinal) == root.Length - 1).ToArray();
        if (roots is not [var root])
        {
            throw new InvalidDataException(names.Any(IsOfModel)
                ? "It is a model that ML.NET saved. Load it, and continue training with Fit(data, model)."
                : "It is a .zip of other files. Unpack it and use the weights file in it. " + ForeignFile.Expected);
        }
        return entries.ContainsKey(root + "constants.pkl")
            ? throw new InvalidDataException(
                $"It is a TorchScript module. Use {nameof(Architecture)}.{nameof(Architecture.FromTorchScript)}, or save its weights "
                + "alone: torch.save(torch.jit.load(\"model.pt\").state_dict(), \"weights.pth\").")
            : root;

        static bool IsOfModel(string name) =>
            name.StartsWith("TransformerChain", StringComparison.Ordinal) || name.StartsWith("TrainingInfo", StringComparison.Ordinal);
    }

    private static byte[] ReadAll(ZipArchiveEntry entry, int most)
    {
        if (entry.Length > most)
            throw new InvalidDataException($"The entry '{entry.FullName}' has {entry.Length:N0} bytes; the limit is {most:N0}.");
        var content = new byte[entry.Length];
        using var stream = entry.Open();
        return stream.ReadAtLeast(content, content.Length, throwOnEndOfStream: false) == content.Length
            ? content
            : throw new InvalidDataException($"The entry '{entry.FullName}' is cut off. Copy or download the file again.");
    }

    private static void Skip(Stream stream, long count)
    {
        if (stream.CanSeek)
        {
            stream.Seek(count, SeekOrigin.Current);
            return;
        }
        var buffer = new byte[(int)Math.Min(count, 1 << 16)];
        for (int read; count > 0 && (read = stream.Read(buffer, 0, (int)Math.Min(count, buffer.Length))) > 0;)
            count -= read;
    }
}
