using System.Buffers.Binary;
using System.IO.Compression;

namespace OnnxScoring;

/// <summary>A file of bytes in the IDX format of MNIST, compressed with gzip.</summary>
/// <param name="Sizes">The size of each axis.</param>
/// <param name="Values">The bytes. The last axis varies fastest.</param>
internal sealed record IdxFile(int[] Sizes, byte[] Values)
{
    private const int UnsignedByte = 8;

    public static IdxFile Read(string path)
    {
        using var gzip = new GZipStream(File.OpenRead(path), CompressionMode.Decompress);
        using var memory = new MemoryStream();
        gzip.CopyTo(memory);
        var content = memory.ToArray();
        if (content is not [0, 0, UnsignedByte, var axes, ..])
            throw new InvalidDataException($"'{path}' is not an IDX file of bytes. Use a file of MNIST, compressed with gzip.");
        int[] sizes = [.. Enumerable.Range(1, axes).Select(axis => BinaryPrimitives.ReadInt32BigEndian(content.AsSpan(4 * axis)))];
        return new IdxFile(sizes, content[(4 + (4 * axes))..]);
    }
}
