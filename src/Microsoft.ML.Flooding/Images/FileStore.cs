using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// Pixels in a temporary file, for sets larger than the memory they may take. It is read and written rather than mapped: mapped pages
/// would count as the process's memory, and the system caches the file as far as it sees fit anyway.
/// </summary>
internal sealed class FileStore(ImageShape shape, long count, string? folder) : PixelStore(shape, count)
{
    private const int WideningBlock = 1 << 20;

    private SafeFileHandle? _file = Create(folder, shape.Length * count);

    /// <inheritdoc/>
    public override Span<byte> Place(long place, byte[] scratch) => scratch.AsSpan(0, PlaceLength);

    /// <inheritdoc/>
    public override void Commit(long place, ReadOnlySpan<byte> pixels) => RandomAccess.Write(_file!, pixels, place * PlaceLength);

    /// <inheritdoc/>
    public override void Widen(long places)
    {
        using var narrow = _file!;
        _file = Create(folder, Shape.Length * Count * sizeof(float));
        PixelType = ScalarType.Float32;
        var length = Shape.Length * places;
        var bytes = new byte[WideningBlock];
        var floats = new float[WideningBlock];
        for (var done = 0L; done < length;)
        {
            var block = RandomAccess.Read(narrow, bytes.AsSpan(0, (int)Math.Min(WideningBlock, length - done)), done);
            for (var i = 0; i < block; i++)
                floats[i] = bytes[i];
            RandomAccess.Write(_file, MemoryMarshal.AsBytes(floats.AsSpan(0, block)), done * sizeof(float));
            done += block;
        }
    }

    /// <inheritdoc/>
    public override ImageSet ToSet(Tensor labels, Tensor places, Tensor digests, IReadOnlySet<long> leftOut)
    {
        var set = new FileImageSet(Shape, PixelType, _file!, labels, places, digests);
        _file = null;
        return set;
    }

    /// <inheritdoc/>
    public override void Dispose() => _file?.Dispose();

    private static SafeFileHandle Create(string? folder, long length)
    {
        var path = Path.Combine(folder ?? Path.GetTempPath(), $"flooding-{Guid.NewGuid():N}.pixels");
        try
        {
            var file = File.OpenHandle(
                path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Delete, FileOptions.DeleteOnClose, preallocationSize: length);

            // Where an open file can be deleted, it goes with the process even if that is killed; Windows sees to it by itself.
            if (!OperatingSystem.IsWindows())
                File.Delete(path);
            RandomAccess.SetLength(file, length);
            return file;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException(
                $"The images take {length >> 20} MiB, more than MaxCacheBytes, and no file for them can be made at '{path}': {e.Message} "
                + "Raise MaxCacheBytes, free the disk, or forbid its use.",
                e);
        }
    }
}
