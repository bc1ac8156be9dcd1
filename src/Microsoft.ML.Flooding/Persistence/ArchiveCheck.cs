using System.Buffers;
using System.IO.Compression;
using System.IO.Hashing;

namespace Microsoft.ML.Flooding.Persistence;

/// <summary>
/// Compares each entry of a .zip with the length and the CRC-32 in the archive, which neither .NET nor ML.NET does. It holds only one
/// buffer in memory, whatever sizes the archive claims.
/// </summary>
internal static class ArchiveCheck
{
    private const int BufferSize = 1 << 16;

    /// <summary>Throws if the archive is damaged.</summary>
    /// <exception cref="InvalidDataException">The archive is damaged; the message names the entry.</exception>
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
                    throw new InvalidDataException($"The model file is damaged: it has two entries named '{entry.FullName}'.");
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
        var (crc, length) = (new Crc32(), 0L);
        for (int read; length <= entry.Length && (read = content.Read(buffer)) > 0; length += read)
            crc.Append(buffer.AsSpan(0, read));
        if (length != entry.Length || crc.GetCurrentHashAsUInt32() != entry.Crc32)
            throw new InvalidDataException(
                $"The model file is damaged: the content of its entry '{entry.FullName}' does not match the length and the "
                + "checksum in the archive.");
    }
}
