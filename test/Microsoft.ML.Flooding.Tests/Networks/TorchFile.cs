using System.IO.Compression;
using System.Text;

namespace Microsoft.ML.Flooding.Tests.Networks;

/// <summary>Writes files like torch.save, instruction by instruction, so that tests can make them wrong in any way.</summary>
internal static class TorchFile
{
    public const string OrderedDictionary = "ccollections\nOrderedDict\n)R";

    /// <summary>The archive of a pickle (one byte per character) and storages.</summary>
    public static byte[] Write(string body, params (string Name, byte[] Content)[] entries) => Archive(
        [
            ("archive/data.pkl", Latin1("\x80\x02" + body + ".")),
            ("archive/byteorder", Latin1("little")),
            .. entries.Select(e => ("archive/" + e.Name, e.Content)),
            ("archive/version", Latin1("3\n")),
        ]);

    public static byte[] Archive(
        IEnumerable<(string Name, byte[] Content)> entries, CompressionLevel level = CompressionLevel.NoCompression)
    {
        using var bytes = new MemoryStream();
        using (var zip = new ZipArchive(bytes, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, content) in entries)
            {
                using var entry = zip.CreateEntry(name, level).Open();
                entry.Write(content);
            }
        }
        return bytes.ToArray();
    }

    public static byte[] Latin1(string text) => Encoding.Latin1.GetBytes(text);

    public static string Text(string text) => "X" + Integer(text.Length) + text;

    public static string Number(long value) => value is >= int.MinValue and <= int.MaxValue
        ? "J" + Integer((int)value)
        : "\x8A\x08" + Encoding.Latin1.GetString(BitConverter.GetBytes(value));

    public static string Tuple(params IEnumerable<long> values) => "(" + string.Concat(values.Select(Number)) + "t";

    public static string Integer(int value) => Encoding.Latin1.GetString(BitConverter.GetBytes(value));

    /// <summary>A dictionary of pairs: each key is followed by its pickled value.</summary>
    public static string Dictionary(params IEnumerable<(string Key, string Value)> items) =>
        OrderedDictionary + "(" + string.Concat(items.Select(item => Text(item.Key) + item.Value)) + "u";

    public static string Storage(string type, string key, long count) =>
        "(" + Text("storage") + $"ctorch\n{type}\n" + Text(key) + Text("cpu") + Number(count) + "tQ";

    public static string Tensor(
        long[] shape, long[]? strides = null, long offset = 0, string type = "FloatStorage", string key = "0", long? count = null)
    {
        strides ??= [.. shape.Select((_, axis) => shape[(axis + 1)..].Aggregate(1L, (product, size) => product * size))];
        return "ctorch._utils\n_rebuild_tensor_v2\n("
            + Storage(type, key, count ?? shape.Aggregate(1L, (a, b) => a * b)) + Number(offset) + Tuple(shape) + Tuple(strides)
            + "\x89" + OrderedDictionary + "tR";
    }

    public static byte[] Floats(int count) => [.. Enumerable.Range(0, count).SelectMany(i => BitConverter.GetBytes((float)i))];
}
