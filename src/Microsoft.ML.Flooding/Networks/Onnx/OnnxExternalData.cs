using System.Globalization;
using Google.Protobuf;

namespace Microsoft.ML.Flooding.Networks.Onnx;

/// <summary>Values of a tensor in a file beside the ONNX file.</summary>
internal static class OnnxExternalData
{
    /// <summary>Brings the values into the tensor.</summary>
    /// <exception cref="InvalidDataException">The file is not in the folder, or does not hold what the tensor needs.</exception>
    public static void Load(TensorProto tensor, string folder)
    {
        var entries = tensor.ExternalData.GroupBy(entry => entry.Key).ToDictionary(entries => entries.Key, entries => entries.Last().Value);
        if (!entries.TryGetValue("location", out var location) || location.Length == 0)
            throw Wrong(tensor, "it says that its values are in another file, and not in which");
        var path = Path.GetFullPath(Path.Combine(folder, location));
        if (Path.IsPathRooted(location) || !IsInside(path, folder))
            throw Outside();
        if (!File.Exists(path))
            throw Wrong(tensor, $"its values are in '{location}', which is not there. Put it beside the ONNX file");
        if (File.ResolveLinkTarget(path, returnFinalTarget: true) is { } target && !IsInside(target.FullName, folder))
            throw Outside();
        using var stream = File.OpenRead(path);
        var bytes = checked(OnnxTensor.Count(tensor) * OnnxTensor.SizeOf(tensor));
        var (offset, length) = (Number("offset") ?? 0, Number("length") ?? bytes);
        if (length != bytes || offset < 0 || offset > stream.Length - bytes)
        {
            throw Wrong(tensor,
                $"it needs {bytes:N0} bytes, and '{location}' has {stream.Length:N0}, {length:N0} of them for it from {offset:N0} on");
        }
        var values = new byte[checked((int)bytes)];
        stream.Position = offset;
        stream.ReadExactly(values);
        tensor.RawData = UnsafeByteOperations.UnsafeWrap(values);
        tensor.ExternalData.Clear();
        tensor.DataLocation = TensorProto.Types.DataLocation.Default;

        InvalidDataException Outside() => Wrong(tensor, $"its values are in '{location}', which is outside of the file's folder");

        long? Number(string key) => !entries.TryGetValue(key, out var text) ? null
            : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number
            : throw Wrong(tensor, $"its {key} is '{text}'");
    }

    private static bool IsInside(string path, string folder) =>
        !Path.GetRelativePath(folder, path).StartsWith("..", StringComparison.Ordinal)
            && !Path.IsPathRooted(Path.GetRelativePath(folder, path));

    private static InvalidDataException Wrong(TensorProto tensor, string what) => new($"The tensor '{tensor.Name}': {what}.");
}
