using System.Collections.Immutable;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>A file of named tensors, read one by one. Not for several threads at once.</summary>
internal abstract class TensorFile : IDisposable
{
    /// <summary>Far more than a tensor has in practice.</summary>
    protected const int MostAxes = 64;

    // A span ends at 2 GiB, and the widest values take 8 bytes.
    private const long PieceLength = 1 << 27;

    /// <summary>The tensors, in the order of the file.</summary>
    public abstract IReadOnlyList<TensorEntry> Entries { get; }

    /// <summary>The strings stored with the tensors.</summary>
    public abstract IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Opens a file and reads from it. The content decides what kind of file it is, not the extension.</summary>
    /// <exception cref="InvalidDataException">The file is malformed or of a kind that cannot be read; the message names the file and the remedy.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static T Read<T>(string path, Func<TensorFile, T> read)
    {
        try
        {
            using var file = Open(path);
            return read(file);
        }
        catch (InvalidDataException e)
        {
            throw new InvalidDataException($"'{path}' cannot be read as weights. {e.Message}", e);
        }
    }

    /// <summary>A new contiguous tensor on the CPU, in the type it has in the file.</summary>
    /// <exception cref="KeyNotFoundException">The file has no tensor of this name.</exception>
    /// <exception cref="InvalidDataException">The file ends before the tensor does.</exception>
    public abstract Tensor Load(string name);

    /// <summary>Every tensor by name.</summary>
    public Dictionary<string, Tensor> LoadAll() => Entries.ToDictionary(entry => entry.Name, entry => Load(entry.Name));

    public abstract void Dispose();

    /// <summary>The memory of a contiguous CPU tensor in pieces whose bytes fit into a span.</summary>
    /// <returns>Views of the tensor, each valid until the next one is taken.</returns>
    internal static IEnumerable<Tensor> Pieces(Tensor contiguous)
    {
        using var flat = contiguous.flatten();
        for (long start = 0, length = flat.numel(); start < length; start += PieceLength)
        {
            using var piece = flat.narrow(0, start, Math.Min(PieceLength, length - start));
            yield return piece;
        }
    }

    /// <summary>Fills a contiguous CPU tensor with the bytes that come next in a stream.</summary>
    protected static void Fill(Tensor contiguous, Stream stream, string name)
    {
        try
        {
            foreach (var piece in Pieces(contiguous))
                stream.ReadExactly(piece.bytes);
        }
        catch (EndOfStreamException e)
        {
            throw new InvalidDataException($"It ends within the tensor '{name}'. Copy or download it again.", e);
        }
    }

    private static TensorFile Open(string path)
    {
        var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        try
        {
            var start = new byte[(int)Math.Min(ForeignFile.PrefixLength, stream.Length)];
            stream.ReadExactly(start);
            stream.Position = 0;
            if (PyTorchFile.IsZip(start))
                return PyTorchFile.Read(stream);
            return SafetensorsFile.LooksLikeOne(start) ? SafetensorsFile.Read(stream) : throw new InvalidDataException(ForeignFile.Describe(start));
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }
}

/// <summary>What a <see cref="TensorFile"/> says of a tensor before it is loaded.</summary>
internal record TensorEntry(string Name, ScalarType Type, ImmutableArray<long> Shape);
