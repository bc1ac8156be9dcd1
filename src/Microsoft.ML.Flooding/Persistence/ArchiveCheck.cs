using System.Buffers;
using System.IO.Compression;

namespace Microsoft.ML.Flooding.Persistence;

/// <summary>
/// Compares every entry of a .zip with the length and the CRC-32 that the archive gives for it, which neither .NET nor ML.NET does. No more
/// than a buffer is held, whatever the archive claims.
/// </summary>
internal static class ArchiveCheck
{
    private const int BufferSize = 1 << 16;

    private static readonly uint[] Table = [.. Enumerable.Range(0, 256).Select(i => Remainder((uint)i))];

    /// <exception cref="InvalidDataException">The archive is damaged; the message says where.</exception>
    public static void Require(Stream stream)
    {
        using var archive = new ZipArchive(stream, ZipArchiveMode.Read, leaveOpen: true);
        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            foreach (var entry in archive.Entries)
            {
                if (!names.Add(entry.FullName.Replace('\\', '/')))
                    throw new InvalidDataException($"The model file has two entries '{entry.FullName}'.");
                Require(entry, buffer);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static void Require(ZipArchiveEntry entry, byte[] buffer)
    {
        using var content = entry.Open();
        var (crc, length) = (uint.MaxValue, 0L);
        for (int read; length <= entry.Length && (read = content.Read(buffer)) > 0; length += read)
        {
            foreach (var value in buffer.AsSpan(0, read))
                crc = Table[(byte)(crc ^ value)] ^ (crc >> 8);
        }
        if (length != entry.Length || ~crc != entry.Crc32)
            throw new InvalidDataException($"The model file is damaged: its entry '{entry.FullName}' is not what was saved.");
    }

    private static uint Remainder(uint value)
    {
        for (var bit = 0; bit < 8; bit++)
            value = (value >> 1) ^ ((value & 1) * 0xEDB88320);
        return value;
    }
}
