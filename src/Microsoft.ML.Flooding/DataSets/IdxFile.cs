using System.Buffers.Binary;

namespace Microsoft.ML.Flooding.DataSets;

/// <summary>An IDX file of unsigned bytes (the format of MNIST), gzip-compressed or not.</summary>
internal sealed record IdxFile(int[] Dimensions, byte[] Values)
{
    private const byte UnsignedByte = 0x08;

    /// <summary>Reads a whole file, whose number of dimensions must be one of <paramref name="ranks"/>.</summary>
    /// <exception cref="InvalidDataException">The file is malformed; the message names it and the offset.</exception>
    public static IdxFile Read(string path, params ReadOnlySpan<int> ranks)
    {
        using var file = DataFile.Open(path);
        var magic = file.Read(4, "the magic number");
        if (magic[0] != 0 || magic[1] != 0 || magic[2] != UnsignedByte || !ranks.Contains(magic[3]))
            throw file.ErrorAt(0,
                $"the file starts with 0x{Convert.ToHexString(magic)}, but an IDX file of bytes with "
                + $"{string.Join(" or ", ranks.ToArray())} dimensions starts with 0x0000{UnsignedByte:X2}{ranks[0]:X2}. "
                + "Check that the paths of the image file and the label file are not swapped.");

        var dimensions = new int[magic[3]];
        var length = 1L;
        for (var i = 0; i < dimensions.Length; i++)
        {
            dimensions[i] = BinaryPrimitives.ReadInt32BigEndian(file.Read(sizeof(int), "the dimensions"));
            if (dimensions[i] < 1 || (length *= dimensions[i]) > Array.MaxLength)
                throw file.ErrorAt(file.Position - sizeof(int),
                    $"the file has invalid dimensions: {string.Join(" x ", dimensions[..(i + 1)])}. Each must be positive, "
                    + $"and their product at most {Array.MaxLength}.");
        }
        var values = file.Read(length, $"the values of {string.Join(" x ", dimensions)}");
        return file.IsAtEnd()
            ? new IdxFile(dimensions, values)
            : throw file.ErrorAt(file.Position - 1,
                $"the file has more than the {length} values of its dimensions {string.Join(" x ", dimensions)}.");
    }
}
