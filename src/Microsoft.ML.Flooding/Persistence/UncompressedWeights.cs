using System.IO.Compression;

namespace Microsoft.ML.Flooding.Persistence;

/// <summary>
/// Copies a model file so that its weights are not compressed. ML.NET compresses every entry. Trained weights become only 7 % smaller, but
/// decompressing them takes about half of the time of loading.
/// </summary>
internal static class UncompressedWeights
{
    /// <summary>Copies the archive.</summary>
    /// <param name="source">The file as ML.NET writes it. It can seek.</param>
    /// <param name="target">The stream to write to.</param>
    public static void Copy(Stream source, Stream target)
    {
        source.Position = 0;
        using var from = new ZipArchive(source, ZipArchiveMode.Read, leaveOpen: true);
        using var to = new ZipArchive(target, ZipArchiveMode.Create, leaveOpen: true);
        foreach (var entry in from.Entries)
        {
            var isWeights = entry.FullName.EndsWith(ModelFile.WeightsEntry, StringComparison.Ordinal);
            var copy = to.CreateEntry(entry.FullName, isWeights ? CompressionLevel.NoCompression : CompressionLevel.Optimal);
            using var content = entry.Open();
            using var written = copy.Open();
            content.CopyTo(written, 1 << 20);
        }
    }
}
