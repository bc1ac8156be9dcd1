using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace Microsoft.ML.Flooding.Tests.DataSets;

/// <summary>Writes MATLAB 5 files byte by byte, after MathWorks' "MAT-File Format".</summary>
internal sealed class MatWriter(bool isBigEndian = false)
{
    public const int Int8 = 1, UInt8 = 2, Int32 = 5, UInt32 = 6, Double = 9, Matrix = 14, Compressed = 15;

    public const int DoubleClass = 6, UInt8Class = 9, CellClass = 1;

    private readonly List<byte> _content = [];

    /// <summary>116 bytes of text, 8 of subsystem data, the version 0x0100 and the mark MI, in the byte order of the file.</summary>
    public MatWriter Header()
    {
        _content.AddRange(Encoding.ASCII.GetBytes("MATLAB 5.0 MAT-file, written by a test".PadRight(116)));
        _content.AddRange(new byte[8]);
        _content.AddRange(isBigEndian ? [1, 0, (byte)'M', (byte)'I'] : [0, 1, (byte)'I', (byte)'M']);
        return this;
    }

    public MatWriter Add(byte[] element)
    {
        _content.AddRange(element);
        return this;
    }

    public byte[] ToArray() => _content.ToArray();

    public byte[] Array(string name, int[] dimensions, int type, byte[] values, int @class = UInt8Class)
    {
        byte[] content =
        [
            .. Element(UInt32, [.. Number(@class), .. Number(0)]),
            .. Element(Int32, [.. dimensions.SelectMany(Number)]),
            .. Element(Int8, Encoding.ASCII.GetBytes(name)),
            .. Element(type, values),
        ];
        return [.. Number(Matrix), .. Number(content.Length), .. content];
    }

    /// <summary>A compressed element is a whole element in zlib's format, without padding.</summary>
    public byte[] Compress(byte[] element)
    {
        using var compressed = new MemoryStream();
        using (var zlib = new ZLibStream(compressed, CompressionLevel.Fastest, leaveOpen: true))
            zlib.Write(element);
        return [.. Number(Compressed), .. Number((int)compressed.Length), .. compressed.ToArray()];
    }

    /// <summary>Up to four bytes are stored in the tag itself.</summary>
    public byte[] Element(int type, byte[] content)
    {
        if (content.Length is > 0 and <= 4)
            return [.. Number((content.Length << 16) | type), .. content, .. new byte[4 - content.Length]];
        return [.. Number(type), .. Number(content.Length), .. content, .. new byte[(8 - (content.Length % 8)) % 8]];
    }

    public byte[] Doubles(params double[] values) => [.. values.SelectMany(value =>
    {
        var bytes = new byte[8];
        if (isBigEndian)
            BinaryPrimitives.WriteDoubleBigEndian(bytes, value);
        else
            BinaryPrimitives.WriteDoubleLittleEndian(bytes, value);
        return bytes;
    })];

    private byte[] Number(int value)
    {
        var bytes = new byte[4];
        if (isBigEndian)
            BinaryPrimitives.WriteInt32BigEndian(bytes, value);
        else
            BinaryPrimitives.WriteInt32LittleEndian(bytes, value);
        return bytes;
    }
}
