using System.Collections.Immutable;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>A file of named tensors, which are loaded one by one. Not thread-safe.</summary>
internal abstract class TensorFile : IDisposable
{
    /// <summary>The largest number of axes that is read, far more than a tensor has in practice.</summary>
    protected const int MostAxes = 64;

    // A span has at most 2 GiB, and the widest values take 8 bytes.
    private const long PieceLength = 1 << 27;

    /// <summary>The tensors, in the order of the file.</summary>
    public abstract IReadOnlyList<TensorEntry> Entries { get; }

    /// <summary>The strings stored with the tensors.</summary>
    public abstract IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Opens a file and reads from it. The kind of file is recognized by its content, not by its extension.</summary>
    /// <exception cref="InvalidDataException">
    /// The file is malformed or not supported; the message names the file and the remedy.
    /// </exception>
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

    /// <summary>Loads a tensor: contiguous, on the CPU, in the type it has in the file.</summary>
    /// <exception cref="KeyNotFoundException">The file has no tensor with this name.</exception>
    /// <exception cref="InvalidDataException">The file ends before the tensor does.</exception>
    public abstract Tensor Load(string name);

    /// <summary>Loads every tensor.</summary>
    public Dictionary<string, Tensor> LoadAll() => Entries.ToDictionary(entry => entry.Name, entry => Load(entry.Name));

    public abstract void Dispose();

    /// <summary>Splits a contiguous CPU tensor into pieces whose bytes fit into a span.</summary>
    /// <returns>Views of the tensor, each valid until the next one is read.</returns>
    internal static IEnumerable<Tensor> Pieces(Tensor contiguous)
    {
        using var flat = contiguous.flatten();
        for (long start = 0, length = flat.numel(); start < length; start += PieceLength)
        {
            using var piece = flat.narrow(0, start, Math.Min(PieceLength, length - start));
            yield return piece;
        }
    }

    /// <summary>Fills a contiguous CPU tensor with the next bytes of a stream.</summary>
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
            return SafetensorsFile.LooksLikeOne(start)
                ? SafetensorsFile.Read(stream)
                : throw new InvalidDataException(ForeignFile.Describe(start));
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }
}

/// <summary>The description of a tensor in a <see cref="TensorFile"/>, known before it is loaded.</summary>
internal record TensorEntry(string Name, ScalarType Type, ImmutableArray<long> Shape);
