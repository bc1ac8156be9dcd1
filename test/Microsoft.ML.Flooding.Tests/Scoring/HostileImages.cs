using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using Microsoft.ML.Flooding.Tests.Images;
using SkiaSharp;

namespace Microsoft.ML.Flooding.Tests.Scoring;

/// <summary>Image files of every unusual kind. Those that no available encoder writes are made by hand.</summary>
internal static class HostileImages
{
    private static readonly (int X, int Y, int StepX, int StepY)[] Adam7 =
        [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];

    private static readonly byte[] Plain = TestImages.Encode(TestImages.Gradient(32, 24), 32, 24, SKEncodedImageFormat.Jpeg, 90);

    public static IReadOnlyDictionary<string, byte[]> Readable { get; } = new Dictionary<string, byte[]>
    {
        ["png"] = TestImages.Png(TestImages.Rgb(16, 16), 16, 16),
        ["jpeg"] = Plain,
        ["cmyk jpeg"] = Jpeg(components: 4, isProgressive: false),
        ["progressive jpeg"] = Jpeg(components: 3, isProgressive: true),
        ["grey jpeg"] = Jpeg(components: 1, isProgressive: false),
        ["rotated jpeg"] = Rotated(6),
        ["16-bit png"] = Png(8, 8, 16, 2, [], Scanlines(8, 8, 6)),
        ["palette png"] = Png(8, 8, 8, 3, [.. Enumerable.Range(0, 768).Select(i => (byte)i)], Scanlines(8, 8, 1)),
        ["interlaced png"] = Png(8, 8, 8, 2, [], Interlaced(8, 8, 3), isInterlaced: true),
        ["transparent png"] = TestImages.Encode(TestImages.Rgb(16, 16), 16, 16, SKEncodedImageFormat.Png, alpha: 60),
        ["animated gif"] = Gif(frames: 3),
        ["webp"] = TestImages.Encode(TestImages.Gradient(16, 16), 16, 16, SKEncodedImageFormat.Webp, 80),
        ["1 x 1"] = TestImages.Png([200, 100, 50], 1, 1),
        ["20,000 x 1"] = TestImages.Png(TestImages.Rgb(20_000, 1), 20_000, 1),
        ["1 x 20,000"] = TestImages.Png(TestImages.Rgb(1, 20_000), 1, 20_000),
    };

    public static IReadOnlyDictionary<string, byte[]> Unreadable { get; } = new Dictionary<string, byte[]>
    {
        ["empty"] = [],
        ["one byte"] = [0xFF],
        ["truncated png"] = Readable["png"][..^100],
        ["truncated jpeg"] = Plain[..^(Plain.Length / 2)],
        ["header of a png"] = Readable["png"][..33],
        ["text called .jpg"] = Encoding.UTF8.GetBytes("This is no picture. " + new string('x', 500)),
        ["zeros"] = new byte[5000],
        ["svg"] = Encoding.UTF8.GetBytes("<svg xmlns='http://www.w3.org/2000/svg' width='8' height='8'/>"),
        ["zip"] = [.. "PK"u8, 3, 4, .. new byte[200]],
        ["bomb"] = Png(60_000, 60_000, 8, 0, [], new byte[100_000]),
        ["bomb of the longest sides"] = Png(int.MaxValue, int.MaxValue, 8, 6, [], new byte[100]),
    };

    private static byte[] Png(int width, int height, byte depth, byte colour, byte[] palette, byte[] scanlines, bool isInterlaced = false)
    {
        var header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), height);
        (header[8], header[9], header[12]) = (depth, colour, isInterlaced ? (byte)1 : (byte)0);
        using var compressed = new MemoryStream();
        using (var zlib = new ZLibStream(compressed, CompressionLevel.Optimal, leaveOpen: true))
            zlib.Write(scanlines);
        return
        [
            0x89, .. "PNG\r\n"u8, 0x1A, 0x0A, .. Chunk("IHDR", header), .. palette.Length > 0 ? Chunk("PLTE", palette) : [],
            .. Chunk("IDAT", compressed.ToArray()), .. Chunk("IEND", []),
        ];
    }

    private static byte[] Chunk(string name, byte[] content)
    {
        byte[] body = [.. Encoding.ASCII.GetBytes(name), .. content];
        var chunk = new byte[content.Length + 12];
        BinaryPrimitives.WriteInt32BigEndian(chunk, content.Length);
        body.CopyTo(chunk, 4);
        BinaryPrimitives.WriteUInt32BigEndian(chunk.AsSpan(chunk.Length - 4), Crc32(body));
        return chunk;
    }

    private static uint Crc32(byte[] bytes)
    {
        var crc = uint.MaxValue;
        foreach (var value in bytes)
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++)
                crc = (crc >> 1) ^ ((crc & 1) * 0xEDB88320);
        }
        return ~crc;
    }

    private static byte[] Scanlines(int width, int height, int bytesPerPixel) =>
        [.. Enumerable.Range(0, height)
            .SelectMany(y => Enumerable.Range(0, (width * bytesPerPixel) + 1).Select(i => i == 0 ? (byte)0 : (byte)(i * 5 + y * 17)))];

    private static byte[] Interlaced(int width, int height, int bytesPerPixel) => [.. Adam7.SelectMany(pass =>
        Scanlines((width - pass.X + pass.StepX - 1) / pass.StepX, (height - pass.Y + pass.StepY - 1) / pass.StepY, bytesPerPixel))];

    /// <summary>One block of 8 x 8 per component, all of one value. A progressive file may end after the scan of these values.</summary>
    private static byte[] Jpeg(byte components, bool isProgressive)
    {
        var numbers = Enumerable.Range(1, components).Select(i => (byte)i).ToArray();
        byte[] adobe = [.. "Adobe"u8, 0, 100, 0, 0, 0, 0, 0];
        byte[] frame = [8, 0, 8, 0, 8, components, .. numbers.SelectMany(i => new byte[] { i, 0x11, 0 })];
        byte[] direct = [0x00, 0, 2, .. new byte[14], 0, 3];
        byte[] alternating = [0x10, 0, 1, .. new byte[14], 0];
        byte[] scan = [components, .. numbers.SelectMany(i => new byte[] { i, 0x00 }), 0, isProgressive ? (byte)0 : (byte)63, 0];
        var bits = string.Concat(numbers.Select(_ => isProgressive ? "01101" : "0110100"));
        bits = bits.PadRight((bits.Length + 7) / 8 * 8, '1');
        return
        [
            0xFF, 0xD8, .. components == 4 ? Segment(0xEE, adobe) : [], .. Segment(0xDB, [0, .. Enumerable.Repeat((byte)50, 64)]),
            .. Segment(isProgressive ? (byte)0xC2 : (byte)0xC0, frame),
            .. Segment(0xC4, direct), .. Segment(0xC4, alternating), .. Segment(0xDA, scan),
            .. bits.Chunk(8).Select(chunk => Convert.ToByte(new string(chunk), 2)), 0xFF, 0xD9,
        ];
    }

    private static byte[] Rotated(byte orientation)
    {
        byte[] exif =
            [.. "Exif"u8, 0, 0, .. "MM"u8, 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
        return [.. Plain[..2], .. Segment(0xE1, exif), .. Plain[2..]];
    }

    private static byte[] Segment(byte marker, byte[] content) =>
        [0xFF, marker, (byte)((content.Length + 2) >> 8), (byte)(content.Length + 2), .. content];

    /// <summary>8 x 8 pixels in four colors. A clear code after every two pixels keeps the codes at three bits.</summary>
    private static byte[] Gif(int frames)
    {
        const int Clear = 4, End = 5;
        byte[] frame = [0x21, 0xF9, 4, 0, 10, 0, 0, 0, 0x2C, 0, 0, 0, 0, 8, 0, 8, 0, 0, 2];
        var codes = Enumerable.Range(0, 64).SelectMany(i => i % 2 == 0 ? new[] { Clear, i % 4 } : [i % 4]).Append(End);
        var bits = codes.SelectMany(code => Enumerable.Range(0, 3).Select(bit => (code >> bit) & 1));
        byte[] image = [.. bits.Chunk(8).Select(chunk => (byte)chunk.Select((bit, i) => bit << i).Sum())];
        return
        [
            .. "GIF89a"u8, 8, 0, 8, 0, 0x91, 0, 0, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255,
            .. Enumerable.Range(0, frames).SelectMany(_ => (byte[])[.. frame, (byte)image.Length, .. image, 0]), 0x3B,
        ];
    }
}
