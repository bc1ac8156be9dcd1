using System.Buffers.Binary;
using System.IO.Compression;

namespace Microsoft.ML.Flooding.Images;

/// <summary>An IDX file of unsigned bytes (the format of MNIST), gzip-compressed or not.</summary>
internal sealed record IdxFile(int[] Dimensions, byte[] Values)
{
    private const byte UnsignedByte = 0x08;

    /// <summary>Reads a whole file, whose number of dimensions must be one of <paramref name="ranks"/>.</summary>
    public static IdxFile Read(string path, params ReadOnlySpan<int> ranks)
    {
        using var file = File.OpenRead(path);
        using var stream = IsGzip(file) ? new GZipStream(file, CompressionMode.Decompress) : (Stream)file;
        try
        {
            return Read(stream, path, ranks);
        }
        catch (EndOfStreamException e)
        {
            throw new InvalidDataException($"'{path}' is truncated: it ends before the last value.", e);
        }
        catch (InvalidDataException e) when (stream is GZipStream && e.Source == typeof(GZipStream).Assembly.GetName().Name)
        {
            throw new InvalidDataException($"'{path}' is a damaged gzip file: {e.Message}", e);
        }
    }

    private static bool IsGzip(FileStream file)
    {
        var isGzip = file.ReadByte() == 0x1f && file.ReadByte() == 0x8b;
        file.Position = 0;
        return isGzip;
    }

    private static IdxFile Read(Stream stream, string path, ReadOnlySpan<int> ranks)
    {
        var magic = new byte[4];
        stream.ReadExactly(magic);
        if (magic[0] != 0 || magic[1] != 0 || magic[2] != UnsignedByte || !ranks.Contains(magic[3]))
            throw new InvalidDataException(
                $"'{path}' starts with 0x{Convert.ToHexString(magic)}; an IDX file of bytes with {string.Join(" or ", ranks.ToArray())} "
                + $"dimensions starts with 0x0000{UnsignedByte:X2}{ranks[0]:X2}. "
                + "Check that the paths of the image file and the label file are not swapped.");

        var dimensions = new int[magic[3]];
        var size = new byte[4];
        var length = 1L;
        for (var i = 0; i < dimensions.Length; i++)
        {
            stream.ReadExactly(size);
            dimensions[i] = BinaryPrimitives.ReadInt32BigEndian(size);
            if (dimensions[i] < 1 || (length *= dimensions[i]) > Array.MaxLength)
                throw new InvalidDataException(
                    $"'{path}' has invalid dimensions: {string.Join(" x ", dimensions[..(i + 1)])}. Each must be positive, "
                    + $"and their product at most {Array.MaxLength}.");
        }
        var values = ReadValues(stream, length);
        return stream.ReadByte() < 0
            ? new IdxFile(dimensions, values)
            : throw new InvalidDataException(
                $"'{path}' has more than the {length} values of its dimensions {string.Join(" x ", dimensions)}.");
    }

    /// <summary>Grows the array as the file is read, so that a damaged header cannot allocate gigabytes.</summary>
    private static byte[] ReadValues(Stream stream, long length)
    {
        const int step = 1 << 24;
        var values = new byte[Math.Min(length, step)];
        stream.ReadExactly(values);
        for (var read = values.Length; read < length; read = values.Length)
        {
            Array.Resize(ref values, (int)Math.Min(length, 2L * read));
            stream.ReadExactly(values.AsSpan(read));
        }
        return values;
    }
}
