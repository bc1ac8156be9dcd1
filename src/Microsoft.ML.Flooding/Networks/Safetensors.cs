using System.Buffers.Binary;
using System.Text.Json;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>
/// The safetensors format: the length of a JSON header, the header, then the values. This class writes it, <see cref="SafetensorsFile"/>
/// reads it.
/// </summary>
internal static class Safetensors
{
    internal const string MetadataKey = "__metadata__";
    private const int Alignment = 8;

    private static readonly (string Name, ScalarType Type, int Size)[] Types =
    [
        ("F64", ScalarType.Float64, 8),
        ("F32", ScalarType.Float32, 4),
        ("F16", ScalarType.Float16, 2),
        ("BF16", ScalarType.BFloat16, 2),
        ("I64", ScalarType.Int64, 8),
        ("I32", ScalarType.Int32, 4),
        ("I16", ScalarType.Int16, 2),
        ("I8", ScalarType.Int8, 1),
        ("U8", ScalarType.Byte, 1),
        ("BOOL", ScalarType.Bool, 1),
    ];

    /// <summary>The element type with this name in the header, and the bytes of each value; null if it is not supported.</summary>
    public static (ScalarType Type, int Size)? FindType(string? name)
    {
        foreach (var entry in Types)
        {
            if (entry.Name == name)
                return (entry.Type, entry.Size);
        }
        return null;
    }

    /// <summary>Writes a file, which appears under its name once it is whole and on the disk.</summary>
    /// <inheritdoc cref="Write(Stream, IEnumerable{ValueTuple{string, Tensor}}, IReadOnlyDictionary{string, string})"/>
    /// <exception cref="IOException">The file cannot be written. An older one is not changed.</exception>
    public static void Write(
        string path, IEnumerable<(string Name, Tensor Tensor)> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var temporary = path + ".tmp";
        using (var stream = File.Create(temporary))
        {
            Write(stream, tensors, metadata);
            stream.Flush(flushToDisk: true);
        }
        File.Move(temporary, path, overwrite: true);
    }

    /// <summary>Writes named tensors, each contiguous in row-major order and in its own type.</summary>
    /// <param name="stream">The stream; it does not have to be seekable.</param>
    /// <param name="tensors">The tensors, on any device. The header lists them in this order.</param>
    /// <param name="metadata">Strings to store in the header.</param>
    /// <exception cref="ArgumentException">Two tensors have the same name, or the format does not support the type of a tensor.</exception>
    public static void Write(
        Stream stream, IEnumerable<(string Name, Tensor Tensor)> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        ArgumentNullException.ThrowIfNull(stream);
        var entries = tensors.ToList();
        // The widest types first: every tensor is then aligned without gaps, which the format does not allow.
        var stored = entries.OrderByDescending(entry => entry.Tensor.ElementSize).ToList();
        var offsets = new Dictionary<string, (long Begin, long End)>();
        var end = 0L;
        foreach (var (name, tensor) in stored)
        {
            var begin = end;
            end += tensor.numel() * tensor.ElementSize;
            if (name == MetadataKey || !offsets.TryAdd(name, (begin, end)))
                throw new ArgumentException($"Two tensors have the name '{name}', or it is reserved.", nameof(tensors));
        }
        var header = Header(entries, offsets, metadata);
        Span<byte> length = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
        stream.Write(length);
        stream.Write(header);
        foreach (var (_, tensor) in stored)
        {
            using var detached = tensor.detach();
            using var local = detached.cpu();
            using var contiguous = local.contiguous();
            foreach (var piece in TensorFile.Pieces(contiguous))
                stream.Write(piece.bytes);
        }
    }

    private static byte[] Header(
        List<(string Name, Tensor Tensor)> entries, Dictionary<string, (long Begin, long End)> offsets,
        IReadOnlyDictionary<string, string>? metadata)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            if (metadata is { Count: > 0 })
            {
                json.WriteStartObject(MetadataKey);
                foreach (var (key, value) in metadata)
                    json.WriteString(key, value);
                json.WriteEndObject();
            }
            foreach (var (name, tensor) in entries)
            {
                json.WriteStartObject(name);
                json.WriteString("dtype", NameOf(tensor.dtype));
                json.WriteStartArray("shape");
                foreach (var size in tensor.shape)
                    json.WriteNumberValue(size);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offsets[name].Begin);
                json.WriteNumberValue(offsets[name].End);
                json.WriteEndArray();
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        while (buffer.Length % Alignment != 0)
            buffer.WriteByte((byte)' ');
        return buffer.ToArray();
    }

    private static string NameOf(ScalarType type)
    {
        foreach (var entry in Types)
        {
            if (entry.Type == type)
                return entry.Name;
        }
        throw new ArgumentException($"The safetensors format has no type for {type}.");
    }
}
