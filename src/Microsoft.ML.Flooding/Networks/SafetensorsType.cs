using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>The element types of the safetensors format that a tensor can have here.</summary>
internal static class SafetensorsType
{
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

    public static (ScalarType Type, int Size)? Find(string? name)
    {
        foreach (var entry in Types)
        {
            if (entry.Name == name)
                return (entry.Type, entry.Size);
        }
        return null;
    }

    public static string NameOf(ScalarType type)
    {
        foreach (var entry in Types)
        {
            if (entry.Type == type)
                return entry.Name;
        }
        throw new ArgumentException($"The safetensors format has no type for {type}.");
    }
}
