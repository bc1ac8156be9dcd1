using System.Buffers.Binary;
using SkiaSharp;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// The EXIF orientation of a PNG file: tag 274 of the first directory in its eXIf chunk. SkiaSharp reads it in JPEG and WebP files only.
/// </summary>
internal static class PngOrientation
{
    private const int SignatureLength = 8;
    private const int EntryLength = 12;
    private const ushort OrientationTag = 274;
    private const ushort ShortType = 3;

    /// <summary>The orientation; <see cref="SKEncodedOrigin.TopLeft"/> if the file does not have one.</summary>
    /// <param name="file">A PNG file, of which anything but the signature may be damaged.</param>
    public static SKEncodedOrigin Of(ReadOnlySpan<byte> file)
    {
        // A chunk: its length, its type, the content and a checksum of four bytes each.
        for (var rest = file[SignatureLength..]; rest.Length >= 12;)
        {
            var length = BinaryPrimitives.ReadUInt32BigEndian(rest);
            if (length > rest.Length - 12)
                break;
            if (rest[4..8].SequenceEqual("eXIf"u8))
                return OfExif(rest.Slice(8, (int)length));
            rest = rest[((int)length + 12)..];
        }
        return SKEncodedOrigin.TopLeft;
    }

    /// <summary>Reads a TIFF structure: the byte order, 42 and the place of the directory, which is a list of entries.</summary>
    private static SKEncodedOrigin OfExif(ReadOnlySpan<byte> exif)
    {
        var isLittleEndian = exif.StartsWith("II"u8);
        if (exif.Length < 8 || (!isLittleEndian && !exif.StartsWith("MM"u8)) || Short(exif[2..]) != 42)
            return SKEncodedOrigin.TopLeft;
        var place = isLittleEndian ? BinaryPrimitives.ReadUInt32LittleEndian(exif[4..]) : BinaryPrimitives.ReadUInt32BigEndian(exif[4..]);
        if (place > exif.Length - 2)
            return SKEncodedOrigin.TopLeft;
        var directory = exif[(int)place..];
        var entries = directory[2..];
        for (var count = Short(directory); count > 0 && entries.Length >= EntryLength; count--, entries = entries[EntryLength..])
        {
            if (Short(entries) == OrientationTag && Short(entries[2..]) == ShortType)
                return Short(entries[8..]) is >= 1 and <= 8 and var value ? (SKEncodedOrigin)value : SKEncodedOrigin.TopLeft;
        }
        return SKEncodedOrigin.TopLeft;

        ushort Short(ReadOnlySpan<byte> bytes) =>
            isLittleEndian ? BinaryPrimitives.ReadUInt16LittleEndian(bytes) : BinaryPrimitives.ReadUInt16BigEndian(bytes);
    }
}
