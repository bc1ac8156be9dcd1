using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text.Json;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>The header of a safetensors file, checked: every tensor in it lies within the data, apart from the others.</summary>
internal sealed class SafetensorsHeader
{
    /// <summary>The format's own limit.</summary>
    public const long LongestHeader = 100_000_000;

    private const int MostAxes = 64;

    private SafetensorsHeader(ImmutableArray<SafetensorsEntry> entries, IReadOnlyDictionary<string, string> metadata)
    {
        Entries = entries;
        Metadata = metadata;
    }

    /// <summary>In the order of the header.</summary>
    public ImmutableArray<SafetensorsEntry> Entries { get; }

    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>The length of the header, from the first eight bytes of a file.</summary>
    /// <exception cref="InvalidDataException">It is not a possible one.</exception>
    public static long ReadLength(ReadOnlySpan<byte> prefix, long fileLength)
    {
        if (prefix.Length < sizeof(long))
            throw new InvalidDataException($"Not a safetensors file: {prefix.Length} bytes are too few.");
        var length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length is < 2 or > LongestHeader || (long)length > fileLength - sizeof(long))
            throw new InvalidDataException($"Not a safetensors file: it claims a header of {length} bytes in a file of {fileLength}.");
        return (long)length;
    }

    /// <exception cref="InvalidDataException">The header is malformed, or does not fit the data.</exception>
    public static SafetensorsHeader Parse(ReadOnlyMemory<byte> json, long dataLength)
    {
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(json);
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"The safetensors header is not JSON: {e.Message}", e);
        }
        using (document)
        {
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw new InvalidDataException("The safetensors header is not a JSON object.");
            try
            {
                return Parse(document.RootElement, dataLength);
            }
            // What GetString throws for an escaped half of a surrogate pair.
            catch (InvalidOperationException e)
            {
                throw new InvalidDataException("The safetensors header holds text that is not Unicode.", e);
            }
        }
    }

    private static SafetensorsHeader Parse(JsonElement root, long dataLength)
    {
        var metadata = new Dictionary<string, string>();
        var names = new HashSet<string>();
        var entries = ImmutableArray.CreateBuilder<SafetensorsEntry>();
        foreach (var property in root.EnumerateObject())
        {
            if (!names.Add(property.Name))
                throw Invalid(property.Name, "appears twice");
            if (property.Name == Safetensors.MetadataKey)
                ReadMetadata(property.Value, metadata);
            else
                entries.Add(ReadEntry(property.Name, property.Value, dataLength));
        }
        RequireSeamless(entries, dataLength);
        return new(entries.ToImmutable(), metadata);
    }

    private static void ReadMetadata(JsonElement value, Dictionary<string, string> metadata)
    {
        if (value.ValueKind != JsonValueKind.Object)
            throw Invalid(Safetensors.MetadataKey, "is not an object");
        foreach (var property in value.EnumerateObject())
        {
            if (property.Value.ValueKind != JsonValueKind.String)
                throw Invalid(Safetensors.MetadataKey, $"has a value for '{property.Name}' that is not a string");
            metadata[property.Name] = property.Value.GetString()!;
        }
    }

    private static SafetensorsEntry ReadEntry(string name, JsonElement value, long dataLength)
    {
        if (value.ValueKind != JsonValueKind.Object)
            throw Invalid(name, "is not an object");
        if (!value.TryGetProperty("dtype", out var dtype) || dtype.ValueKind != JsonValueKind.String)
            throw Invalid(name, "has no dtype");
        if (SafetensorsType.Find(dtype.GetString()) is not { } type)
            throw Invalid(name, $"has the dtype {dtype.GetString()}, which is not supported");
        var shape = ReadIntegers(name, value, "shape");
        if (shape.Length > MostAxes)
            throw Invalid(name, $"has {shape.Length} axes, more than {MostAxes}");
        if (ReadIntegers(name, value, "data_offsets") is not [var begin, var end])
            throw Invalid(name, "has no pair of data_offsets");
        if (begin > end || end > dataLength)
            throw Invalid(name, $"claims the bytes {begin} to {end} of {dataLength}");
        if (ByteLength(name, shape, type.Size) is var length && length != end - begin)
            throw Invalid(name, $"is [{string.Join(", ", shape)}] of {dtype.GetString()}, {length} bytes, but has {end - begin}");
        return new(name, type.Type, shape, begin, length);
    }

    private static ImmutableArray<long> ReadIntegers(string name, JsonElement value, string property)
    {
        if (!value.TryGetProperty(property, out var array) || array.ValueKind != JsonValueKind.Array)
            throw Invalid(name, $"has no {property}");
        var integers = ImmutableArray.CreateBuilder<long>(array.GetArrayLength());
        foreach (var element in array.EnumerateArray())
        {
            if (element.ValueKind != JsonValueKind.Number || !element.TryGetInt64(out var integer) || integer < 0)
                throw Invalid(name, $"has a {property} that is not made of integers from 0 on");
            integers.Add(integer);
        }
        return integers.MoveToImmutable();
    }

    private static long ByteLength(string name, ImmutableArray<long> shape, int elementSize)
    {
        try
        {
            // An axis of none makes the tensor empty, but must not hide sizes that overflow the strides.
            var length = shape.Aggregate((long)elementSize, (product, size) => checked(product * Math.Max(size, 1)));
            return shape.Contains(0) ? 0 : length;
        }
        catch (OverflowException e)
        {
            throw new InvalidDataException($"The safetensors tensor '{name}' has a shape whose size overflows.", e);
        }
    }

    private static void RequireSeamless(IEnumerable<SafetensorsEntry> entries, long dataLength)
    {
        var end = 0L;
        foreach (var entry in entries.OrderBy(entry => entry.Offset).ThenBy(entry => entry.Length))
        {
            if (entry.Offset < end)
                throw Invalid(entry.Name, "overlaps another");
            if (entry.Offset > end)
                throw Invalid(entry.Name, $"leaves a gap of {entry.Offset - end} bytes before it");
            end += entry.Length;
        }
        if (end != dataLength)
            throw new InvalidDataException($"The safetensors file holds {dataLength} bytes of data, but its tensors take {end}.");
    }

    private static InvalidDataException Invalid(string name, string reason) => new($"The safetensors tensor '{name}' {reason}.");
}
