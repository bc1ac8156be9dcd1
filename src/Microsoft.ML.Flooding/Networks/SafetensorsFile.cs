using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text.Json;
using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>
/// A safetensors file. Opening it checks the header: every tensor lies within the data, and no two overlap. Values are read only when a
/// tensor is loaded.
/// </summary>
internal sealed class SafetensorsFile : TensorFile
{
    // The limit of the format.
    private const long LongestHeader = 100_000_000;

    private readonly Stream _stream;
    private readonly NativeBytes? _content;
    private readonly long _dataStart;
    private readonly Dictionary<string, SafetensorsEntry> _byName;

    private SafetensorsFile(
        Stream stream, NativeBytes? content, long dataStart, ImmutableArray<SafetensorsEntry> entries,
        IReadOnlyDictionary<string, string> metadata)
    {
        _stream = stream;
        _content = content;
        _dataStart = dataStart;
        Entries = entries;
        Metadata = metadata;
        _byName = entries.ToDictionary(entry => entry.Name);
    }

    public override IReadOnlyList<SafetensorsEntry> Entries { get; }

    public override IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Whether the first bytes of a file are those of a safetensors file, intact or damaged.</summary>
    public static bool LooksLikeOne(ReadOnlySpan<byte> start) =>
        start.Length > sizeof(long) && start[sizeof(long)] == '{'
        && BinaryPrimitives.ReadUInt64LittleEndian(start) is >= 2 and <= LongestHeader;

    /// <summary>Opens a file.</summary>
    /// <exception cref="InvalidDataException">The file is not a valid safetensors file.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static SafetensorsFile Open(string path)
    {
        var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        try
        {
            return Read(stream);
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Reads a seekable stream from its start.</summary>
    /// <param name="stream">The stream. It must not change while the file is open, and is closed together with the file.</param>
    /// <exception cref="InvalidDataException">The stream is not a valid safetensors file.</exception>
    public static SafetensorsFile Read(Stream stream) => Read(stream, content: null);

    /// <summary>Reads the bytes of a file, which this object then shares: it is disposed of to release them.</summary>
    /// <exception cref="InvalidDataException">The bytes are not a valid safetensors file.</exception>
    public static SafetensorsFile Read(NativeBytes content)
    {
        var file = Read(content.OpenRead(), content);
        content.Share();
        return file;
    }

    /// <summary>Another reader of the same bytes, with a lifetime of its own.</summary>
    public SafetensorsFile Share() => new(_content!.OpenRead(), _content.Share(), _dataStart, [.. Entries], Metadata);

    /// <summary>The description of a tensor; null if the file has none of this name.</summary>
    public SafetensorsEntry? Find(string name) => _byName.GetValueOrDefault(name);

    /// <summary>The bytes of a tensor in a file that was read from memory, without a copy.</summary>
    /// <exception cref="KeyNotFoundException">The file has no tensor with this name.</exception>
    public ReadOnlyMemory<byte> Bytes(string name)
    {
        var entry = _byName[name];
        return _content!.Slice(_dataStart + entry.Offset, checked((int)entry.Length));
    }

    /// <summary>Copies the whole file to a stream.</summary>
    public void CopyTo(Stream stream)
    {
        _stream.Position = 0;
        _stream.CopyTo(stream);
    }

    private static SafetensorsFile Read(Stream stream, NativeBytes? content)
    {
        ArgumentNullException.ThrowIfNull(stream);
        stream.Position = 0;
        Span<byte> prefix = stackalloc byte[sizeof(long)];
        if (stream.ReadAtLeast(prefix, sizeof(long), throwOnEndOfStream: false) is var read and < sizeof(long))
            throw new InvalidDataException($"It is not a safetensors file: {read} bytes are too few.");
        var headerLength = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (headerLength is < 2 or > LongestHeader)
            throw new InvalidDataException($"It is not a safetensors file: it claims a header of {headerLength} bytes.");
        var dataStart = sizeof(long) + (long)headerLength;
        if (dataStart > stream.Length)
        {
            throw new InvalidDataException(
                $"The file is cut off: it has {stream.Length:N0} bytes, but its header takes {headerLength:N0}. "
                + "Copy or download it again.");
        }
        var header = new byte[headerLength];
        stream.ReadExactly(header);
        var (entries, metadata) = Parse(header, stream.Length - dataStart);
        return new SafetensorsFile(stream, content, dataStart, entries, metadata);
    }

    public override Tensor Load(string name)
    {
        if (!_byName.TryGetValue(name, out var entry))
            throw new KeyNotFoundException($"The safetensors file has no tensor '{name}'.");
        _stream.Position = _dataStart + entry.Offset;
        var tensor = empty([.. entry.Shape], entry.Type, CPU);
        try
        {
            Fill(tensor, _stream, name);
            return tensor;
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
    }

    public override void Dispose()
    {
        _stream.Dispose();
        _content?.Dispose();
    }

    private static (ImmutableArray<SafetensorsEntry> Entries, IReadOnlyDictionary<string, string> Metadata) Parse(
        byte[] json, long dataLength)
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
            // GetString throws this for an escaped half of a surrogate pair.
            catch (InvalidOperationException e)
            {
                throw new InvalidDataException("The safetensors header contains text that is not valid Unicode.", e);
            }
        }
    }

    private static (ImmutableArray<SafetensorsEntry> Entries, IReadOnlyDictionary<string, string> Metadata) Parse(
        JsonElement root, long dataLength)
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
        return (entries.ToImmutable(), metadata);
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
        if (Safetensors.FindType(dtype.GetString()) is not { } type)
            throw Invalid(name, $"has the dtype {dtype.GetString()}, which is not supported");
        var shape = ReadIntegers(name, value, "shape");
        if (shape.Length > MostAxes)
            throw Invalid(name, $"has {shape.Length} axes, more than {MostAxes}");
        if (ReadIntegers(name, value, "data_offsets") is not [var begin, var end])
            throw Invalid(name, "has no pair of data_offsets");
        if (begin > end)
            throw Invalid(name, $"claims the bytes {begin} to {end}");
        if (end > dataLength)
            throw Invalid(name, $"claims the bytes {begin} to {end} of {dataLength}: the file is cut off. Copy or download it again");
        if (ByteLength(name, shape, type.Size) is var length && length != end - begin)
        {
            throw Invalid(
                name,
                $"needs {length} bytes for the shape [{string.Join(", ", shape)}] and dtype {dtype.GetString()}, but has {end - begin}");
        }
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
                throw Invalid(name, $"has a {property} with a value that is not an integer of at least 0");
            integers.Add(integer);
        }
        return integers.MoveToImmutable();
    }

    private static long ByteLength(string name, ImmutableArray<long> shape, int elementSize)
    {
        try
        {
            // An axis of size 0 makes the tensor empty, but must not hide sizes that overflow the strides.
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
            throw new InvalidDataException($"The safetensors file contains {dataLength} bytes of data, but its tensors take {end}.");
    }

    private static InvalidDataException Invalid(string name, string reason) => new($"The safetensors tensor '{name}' {reason}.");
}

/// <summary>
/// A tensor of a safetensors file. Its values take <see cref="Length"/> bytes; <see cref="Offset"/> is relative to the end of the header.
/// </summary>
internal sealed record SafetensorsEntry(string Name, ScalarType Type, ImmutableArray<long> Shape, long Offset, long Length)
    : TensorEntry(Name, Type, Shape);
