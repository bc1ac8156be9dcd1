using System.IO.Compression;

namespace Microsoft.ML.Flooding.DataSets;

/// <summary>A binary file that is read in order. Its errors name the file and the offset.</summary>
/// <param name="stream">The content. It is disposed of with the file.</param>
/// <param name="name">The name for errors.</param>
internal sealed class DataFile(Stream stream, string name) : IDisposable
{
    private const int FirstPart = 1 << 24;

    /// <summary>The number of bytes read so far, of the uncompressed content.</summary>
    public long Position { get; private set; }

    /// <summary>Opens a file, gzip-compressed or not.</summary>
    public static DataFile Open(string path)
    {
        var file = File.OpenRead(path);
        var isGzip = file.ReadByte() == 0x1f && file.ReadByte() == 0x8b;
        file.Position = 0;
        return isGzip
            ? new DataFile(new GZipStream(file, CompressionMode.Decompress), $"'{path}', uncompressed")
            : new DataFile(file, $"'{path}'");
    }

    /// <summary>A part of the file that is compressed with zlib.</summary>
    /// <param name="length">The length of the compressed part, in bytes.</param>
    public DataFile OpenCompressed(long length)
    {
        var place = $"{name}, compressed element at offset {Position}";
        return new DataFile(new ZLibStream(new MemoryStream(Read(length, "the compressed element")), CompressionMode.Decompress), place);
    }

    /// <summary>Reads a number of bytes.</summary>
    /// <param name="length">The number of bytes.</param>
    /// <param name="what">What they are, for the error if the file ends before.</param>
    /// <exception cref="InvalidDataException">The file is truncated, or its compressed content is damaged.</exception>
    public byte[] Read(long length, string what)
    {
        // Grows the array as the file is read, so that a damaged header cannot allocate gigabytes.
        var values = new byte[Math.Min(length, FirstPart)];
        var filled = 0;
        while (true)
        {
            filled += Fill(values.AsSpan(filled));
            if (filled < values.Length)
                throw Error($"the file is truncated: it ends after {filled} of the {length} bytes of {what}.");
            if (filled == length)
                return values;
            Array.Resize(ref values, (int)Math.Min(length, 2L * filled));
        }
    }

    /// <summary>Fills a buffer. Returns the number of bytes read, which is smaller at the end of the file only.</summary>
    public int Fill(Span<byte> buffer)
    {
        try
        {
            var read = stream.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
            Position += read;
            return read;
        }
        catch (InvalidDataException e)
        {
            throw new InvalidDataException($"{name}, offset {Position}: the compressed content is damaged. {e.Message}", e);
        }
    }

    /// <summary>Skips bytes.</summary>
    public void Skip(long length, string what)
    {
        for (var buffer = new byte[Math.Min(length, 1 << 16)]; length > 0;)
        {
            var read = Fill(buffer.AsSpan(0, (int)Math.Min(length, buffer.Length)));
            length -= read > 0 ? read : throw Error($"the file is truncated: {length} bytes of {what} are missing.");
        }
    }

    /// <summary>Reads a byte and returns whether there was none.</summary>
    public bool IsAtEnd() => Fill(new byte[1]) == 0;

    /// <summary>An error at the place that was read last.</summary>
    public InvalidDataException Error(string message) => new($"{name}, offset {Position}: {message}");

    /// <summary>An error at a given place.</summary>
    public InvalidDataException ErrorAt(long offset, string message) => new($"{name}, offset {offset}: {message}");

    public void Dispose() => stream.Dispose();
}
