using System.Security.Cryptography;
using System.Text;
using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>The pixels of a set in a file of their own, so that another process can train on them.</summary>
/// <param name="Digest">Equal for sets of the same pixels in the same order.</param>
/// <param name="Shape">The shape of every image.</param>
/// <param name="Type">uint8 or float32.</param>
/// <param name="Count">The number of images.</param>
internal sealed record PixelFile(string Digest, ImageShape Shape, ScalarType Type, long Count)
{
    private const int BlockLength = 16 << 20;

    /// <summary>The length of the file in bytes.</summary>
    public long Length => Count * ImageLength;

    private int ImageLength => checked(Shape.Length * (Type == ScalarType.Byte ? 1 : sizeof(float)));

    /// <summary>The file of a set.</summary>
    public static PixelFile Of(ImageSet set)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes($"{set.Shape} {set.PixelType}\n"));
        using var digests = set.Digests.contiguous();
        hash.AppendData(digests.bytes);
        return new PixelFile(Convert.ToHexStringLower(hash.GetHashAndReset(), 0, 16), set.Shape, set.PixelType, set.Count);
    }

    /// <summary>Writes the pixels of the set, [N, H, W, C].</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public void Write(string path, ImageSet set)
    {
        var temporary = path + ".tmp";
        using (var stream = File.Create(temporary))
        using (var order = arange(Count))
        using (var batches = set.Read(order, Math.Max(1, BlockLength / ImageLength), CPU))
        {
            while (true)
            {
                using var scope = NewDisposeScope();
                if (!batches.MoveNext())
                    break;
                stream.Write(batches.Current.Pixels.contiguous().bytes);
            }
        }
        File.Move(temporary, path, overwrite: true);
    }

    /// <summary>Opens the file as a set. The pixels are read into memory if they take less than half of what is free.</summary>
    /// <param name="path">The file.</param>
    /// <param name="labels">As <see cref="ImageSet.Labels"/>, which then belong to the set.</param>
    /// <param name="digests">As <see cref="ImageSet.Digests"/>, which then belong to the set.</param>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="InvalidDataException">The file has another length.</exception>
    public ImageSet Open(string path, Tensor labels, Tensor digests)
    {
        var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
        try
        {
            if (RandomAccess.GetLength(file) is var length && length != Length)
                throw new InvalidDataException($"The pixels in '{path}' take {length} bytes, not {Length}. Delete the file.");
            var places = arange(Count).DetachFromDisposeScope();
            if (Length > FreeMemory.Bytes() / 2)
                return new FileImageSet(Shape, Type, file, labels, places, digests);
            using (file)
            {
                using var store = new MemoryStore(Shape, Count, Type);
                for (var place = 0L; place < Count; place++)
                    Read(store.Place(place, []), place * ImageLength);
                return store.ToSet(labels, places, digests, new HashSet<long>());
            }
        }
        catch
        {
            file.Dispose();
            throw;
        }

        void Read(Span<byte> image, long position)
        {
            while (image.Length > 0)
            {
                var read = RandomAccess.Read(file, image, position);
                if (read == 0)
                    throw new EndOfStreamException($"The file '{path}' was cut off while it was read.");
                position += read;
                image = image[read..];
            }
        }
    }
}
