using System.Runtime.InteropServices;
using Google.Protobuf.Collections;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks.Onnx;

/// <summary>A tensor of an ONNX file, checked before any memory is taken for it.</summary>
internal static class OnnxTensor
{
    private const int MostAxes = 8;

    /// <summary>The device of tensors whose shape alone is known.</summary>
    public static Device Nowhere { get; } = new(TorchSharp.DeviceType.META);

    /// <summary>float32, int64 or bool. On <see cref="Nowhere"/> where the values are kept elsewhere.</summary>
    /// <exception cref="InvalidDataException">The tensor does not hold what its shape says.</exception>
    public static Tensor Read(TensorProto proto)
    {
        var count = Count(proto);
        var type = TypeOf(proto);
        if (proto.DataLocation == TensorProto.Types.DataLocation.External)
            return empty([.. proto.Dims], type, Nowhere);
        Check(proto);
        return proto.DataType switch
        {
            TensorProto.Types.DataType.Float => Read<float>(proto, count, proto.FloatData, ScalarType.Float32),
            TensorProto.Types.DataType.Double => Read<double>(proto, count, proto.DoubleData, ScalarType.Float64).to(type),
            TensorProto.Types.DataType.Int64 => Read<long>(proto, count, proto.Int64Data, type),
            TensorProto.Types.DataType.Int32 => Read<int>(proto, count, proto.Int32Data, ScalarType.Int32).to(type),
            TensorProto.Types.DataType.Uint8 => Narrow<byte>(proto, count, ScalarType.Byte).to(type),
            TensorProto.Types.DataType.Int8 => Narrow<sbyte>(proto, count, ScalarType.Int8).to(type),
            TensorProto.Types.DataType.Bool => Narrow<byte>(proto, count, ScalarType.Byte).to(type),
            TensorProto.Types.DataType.Float16 => Narrow<short>(proto, count, ScalarType.Float16).to(type),
            _ => Narrow<short>(proto, count, ScalarType.BFloat16).to(type),
        };
    }

    /// <summary>The number of values.</summary>
    /// <exception cref="InvalidDataException">The shape is impossible.</exception>
    public static long Count(TensorProto proto)
    {
        if (proto.Dims.Count > MostAxes || proto.Dims.Any(size => size < 0))
            throw Wrong(proto, "is no shape");
        try
        {
            return proto.Dims.Aggregate(1L, (product, size) => checked(product * size));
        }
        catch (OverflowException)
        {
            throw Wrong(proto, "is more than any memory holds");
        }
    }

    /// <exception cref="InvalidDataException">The tensor does not hold what its shape says.</exception>
    public static void Check(TensorProto proto)
    {
        var (count, held) = (Count(proto), proto.DataType switch
        {
            _ when !proto.RawData.IsEmpty => proto.RawData.Length / SizeOf(proto),
            TensorProto.Types.DataType.Float => proto.FloatData.Count,
            TensorProto.Types.DataType.Double => proto.DoubleData.Count,
            TensorProto.Types.DataType.Int64 => proto.Int64Data.Count,
            // Narrow types share one field.
            _ => proto.Int32Data.Count,
        });
        if (held != count || proto.RawData.Length % SizeOf(proto) != 0)
            throw Wrong(proto, $"does not go with the {held:N0} values that the file has");
    }

    /// <summary>Bytes of a value in a file.</summary>
    public static int SizeOf(TensorProto proto) => proto.DataType switch
    {
        TensorProto.Types.DataType.Double or TensorProto.Types.DataType.Int64 => 8,
        TensorProto.Types.DataType.Float or TensorProto.Types.DataType.Int32 => 4,
        TensorProto.Types.DataType.Float16 or TensorProto.Types.DataType.Bfloat16 => 2,
        _ => 1,
    };

    public static ScalarType TypeOf(TensorProto proto) => proto.DataType switch
    {
        TensorProto.Types.DataType.Float or TensorProto.Types.DataType.Double => ScalarType.Float32,
        TensorProto.Types.DataType.Float16 or TensorProto.Types.DataType.Bfloat16 => ScalarType.Float32,
        TensorProto.Types.DataType.Int64 or TensorProto.Types.DataType.Int32 => ScalarType.Int64,
        TensorProto.Types.DataType.Uint8 or TensorProto.Types.DataType.Int8 => ScalarType.Int64,
        TensorProto.Types.DataType.Bool => ScalarType.Bool,
        var other => throw new InvalidDataException($"The tensor '{proto.Name}' holds values of type {other}, which is not read."),
    };

    private static Tensor Read<T>(TensorProto proto, long count, RepeatedField<T> listed, ScalarType type) where T : unmanaged =>
        proto.RawData.IsEmpty
        ? Fill<T>(proto, count, [.. listed], type)
        : Fill(proto, count, MemoryMarshal.Cast<byte, T>(proto.RawData.Span), type);

    private static Tensor Narrow<T>(TensorProto proto, long count, ScalarType type) where T : unmanaged => proto.RawData.IsEmpty
        ? Fill<T>(proto, count, [.. proto.Int32Data.Select(value => MemoryMarshal.Cast<int, T>([value])[0])], type)
        : Fill(proto, count, MemoryMarshal.Cast<byte, T>(proto.RawData.Span), type);

    private static Tensor Fill<T>(TensorProto proto, long count, ReadOnlySpan<T> values, ScalarType type) where T : unmanaged
    {
        var result = empty([.. proto.Dims], type);
        if (count > 0)
            MemoryMarshal.AsBytes(values).CopyTo(result.bytes);
        return result;
    }

    private static InvalidDataException Wrong(TensorProto proto, string what) =>
        new($"The tensor '{proto.Name}': {ShapeOperators.Describe([.. proto.Dims])} {what}.");
}
