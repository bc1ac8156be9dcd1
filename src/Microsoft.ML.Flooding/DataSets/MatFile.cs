using System.Buffers.Binary;
using System.Text;

namespace Microsoft.ML.Flooding.DataSets;

/// <summary>The numeric arrays of a MATLAB 5 file (.mat), as "MAT-File Format" of MathWorks describes it.</summary>
internal static class MatFile
{
    private const int HeaderLength = 128;

    private enum DataType
    {
        Int8 = 1,
        UInt8 = 2,
        Int16 = 3,
        UInt16 = 4,
        Int32 = 5,
        UInt32 = 6,
        Single = 7,
        Double = 9,
        Matrix = 14,
        Compressed = 15,
    }

    /// <summary>Reads arrays of real numbers by name; other variables of the file are skipped.</summary>
    /// <param name="path">The path of the file.</param>
    /// <param name="names">The variables to read.</param>
    /// <exception cref="InvalidDataException">The file is malformed or lacks a variable; the message names file and offset.</exception>
    public static Dictionary<string, MatArray> Read(string path, params IReadOnlyCollection<string> names)
    {
        using var file = DataFile.Open(path);
        var header = file.Read(HeaderLength, "the header");
        var isBigEndian = header[^2] == 'M' && header[^1] == 'I';
        if (!isBigEndian && (header[^2] != 'I' || header[^1] != 'M'))
            throw file.ErrorAt(HeaderLength - 2,
                $"a MATLAB 5 file has 'IM' or 'MI' here, but this file has 0x{Convert.ToHexString(header.AsSpan(^2))}. "
                + "Files of MATLAB 7.3 and of MATLAB 4 have another format.");
        var arrays = new Dictionary<string, MatArray>();
        var tag = new byte[8];
        while (arrays.Count < names.Count && file.Fill(tag) is > 0 and var read)
        {
            if (read < tag.Length)
                throw file.Error("the file is truncated: it ends in the tag of an element.");
            var (type, length) = (UInt32(tag, isBigEndian), UInt32(tag.AsSpan(4), isBigEndian));
            if ((DataType)type == DataType.Compressed)
            {
                using var element = file.OpenCompressed(length);
                var inner = new MatReader(element, isBigEndian);
                if (inner.ReadTag() is not ((int)DataType.Matrix, var innerLength))
                    throw element.ErrorAt(0, "the compressed element must be an array.");
                inner.ReadMatrix(innerLength, names, arrays);
            }
            else if ((DataType)type == DataType.Matrix)
            {
                new MatReader(file, isBigEndian).ReadMatrix(length, names, arrays);
            }
            else
            {
                throw file.ErrorAt(file.Position - tag.Length, $"the element has the type {type}, but must be an array (14 or 15).");
            }
        }
        return names.FirstOrDefault(name => !arrays.ContainsKey(name)) is { } missing
            ? throw file.Error($"the file has no array '{missing}'.")
            : arrays;
    }

    private static uint UInt32(ReadOnlySpan<byte> bytes, bool isBigEndian) =>
        isBigEndian ? BinaryPrimitives.ReadUInt32BigEndian(bytes) : BinaryPrimitives.ReadUInt32LittleEndian(bytes);

    /// <summary>Reads the elements of an array.</summary>
    private sealed class MatReader(DataFile file, bool isBigEndian)
    {
        private const uint ComplexFlag = 0x0800;

        /// <summary>Classes from mxDOUBLE_CLASS (6) to mxUINT32_CLASS (13) are numeric.</summary>
        private const int FirstNumericClass = 6;

        private const int LastNumericClass = 13;

        public (int Type, uint Length) ReadTag() => ((int)ReadUInt32(), ReadUInt32());

        public void ReadMatrix(uint length, IReadOnlyCollection<string> names, Dictionary<string, MatArray> arrays)
        {
            var start = file.Position;
            var flags = ReadElement("the array flags");
            if (flags is not (DataType.UInt32, { Length: 8 }))
                throw file.Error("the array flags must be two numbers of type miUINT32.");
            var flag = UInt32(flags.Content, isBigEndian);
            var dimensions = ReadElement("the dimensions");
            if (dimensions.Type != DataType.Int32 || dimensions.Content.Length < 8)
                throw file.Error("the dimensions must be two or more numbers of type miINT32.");
            int[] shape = [.. Enumerable.Range(0, dimensions.Content.Length / 4)
                .Select(i => (int)UInt32(dimensions.Content.AsSpan(4 * i), isBigEndian))];
            var name = Encoding.ASCII.GetString(ReadElement("the name").Content);
            if (names.Contains(name))
            {
                if ((int)(flag & 0xff) is < FirstNumericClass or > LastNumericClass || (flag & ComplexFlag) != 0)
                    throw file.Error($"'{name}' must be an array of real numbers of at most 32 bits, or of doubles.");
                var count = shape.Aggregate(1L, (product, size) => size < 1 || product > Array.MaxLength ? -1 : product * size);
                if (count is < 1 or > int.MaxValue)
                    throw file.Error($"'{name}' has invalid dimensions: {string.Join(" x ", shape)}.");
                var at = file.Position;
                var (type, content) = ReadElement($"the values of '{name}'");
                if (content.Length != count * SizeOf(type))
                    throw file.ErrorAt(at,
                        $"'{name}' has {content.Length} bytes of values of {SizeOf(type)} bytes, but its dimensions are "
                        + $"{string.Join(" x ", shape)}.");
                arrays[name] = new MatArray(shape, content, type == DataType.UInt8, index => ValueOf(type, content, index));
            }
            file.Skip(length - Math.Min(length, file.Position - start), "an array");
        }

        private (DataType Type, byte[] Content) ReadElement(string what)
        {
            var at = file.Position;
            var first = ReadUInt32();

            // In a small element the type and the length are two 16-bit numbers, and the content is in the same eight bytes.
            var isSmall = first >> 16 != 0;
            var (type, length) = isSmall ? ((DataType)(first & 0xffff), first >> 16) : ((DataType)first, ReadUInt32());
            if (isSmall && length > 4)
                throw file.ErrorAt(at, $"a small element has at most 4 bytes, but this one has {length}.");
            if (length > Array.MaxLength)
                throw file.ErrorAt(at, $"{what} takes {length} bytes; the most are {Array.MaxLength}.");
            var content = file.Read(length, what);
            file.Skip(isSmall ? 4 - length : (8 - (length % 8)) % 8, "the padding");
            return (type, content);
        }

        private int SizeOf(DataType type) => type switch
        {
            DataType.Int8 or DataType.UInt8 => 1,
            DataType.Int16 or DataType.UInt16 => 2,
            DataType.Int32 or DataType.UInt32 or DataType.Single => 4,
            DataType.Double => 8,
            _ => throw file.Error($"the values have the type {(int)type}, which is not a type of numbers."),
        };

        private double ValueOf(DataType type, byte[] content, int index)
        {
            Span<byte> value = stackalloc byte[SizeOf(type)];
            content.AsSpan(index * value.Length, value.Length).CopyTo(value);
            if (isBigEndian)
                value.Reverse();
            return type switch
            {
                DataType.Int8 => (sbyte)value[0],
                DataType.UInt8 => value[0],
                DataType.Int16 => BinaryPrimitives.ReadInt16LittleEndian(value),
                DataType.UInt16 => BinaryPrimitives.ReadUInt16LittleEndian(value),
                DataType.Int32 => BinaryPrimitives.ReadInt32LittleEndian(value),
                DataType.UInt32 => BinaryPrimitives.ReadUInt32LittleEndian(value),
                DataType.Single => BinaryPrimitives.ReadSingleLittleEndian(value),
                _ => BinaryPrimitives.ReadDoubleLittleEndian(value),
            };
        }

        private uint ReadUInt32() => UInt32(file.Read(sizeof(uint), "a tag"), isBigEndian);
    }
}

/// <summary>An array of a MATLAB file. MATLAB stores the first dimension contiguously.</summary>
/// <param name="Dimensions">The dimensions.</param>
/// <param name="Bytes">The values as the file has them.</param>
/// <param name="IsBytes">Whether the values are unsigned bytes.</param>
/// <param name="Value">The value at an index of the storage.</param>
internal sealed record MatArray(int[] Dimensions, byte[] Bytes, bool IsBytes, Func<int, double> Value);
