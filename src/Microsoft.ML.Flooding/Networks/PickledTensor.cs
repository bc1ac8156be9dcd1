using System.Collections.Immutable;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>A tensor as its pickle describes it: a view of a storage, which it is known to lie within.</summary>
internal sealed record PickledTensor
{
    private PickledTensor(
        PickledStorage storage, ElementType type, long offset, ImmutableArray<long> shape, ImmutableArray<long> strides, long extent,
        long bytes)
    {
        (Storage, Type, ElementSize) = (storage, type.Scalar, type.Size);
        (Offset, Shape, Strides, Extent, Bytes) = (offset, shape, strides, extent, bytes);
    }

    public PickledStorage Storage { get; }

    public ScalarType Type { get; }

    public int ElementSize { get; }

    /// <summary>The position of the first value in the storage, in values.</summary>
    public long Offset { get; }

    public ImmutableArray<long> Shape { get; }

    public ImmutableArray<long> Strides { get; }

    /// <summary>The distance from the first value to the end of the last one, in values; 0 for an empty tensor.</summary>
    public long Extent { get; }

    /// <summary>The number of bytes of the values in a contiguous tensor.</summary>
    public long Bytes { get; }

    /// <exception cref="InvalidDataException">The tensor does not lie within the storage.</exception>
    /// <exception cref="OverflowException">The size of the tensor exceeds 64 bits.</exception>
    public static PickledTensor Of(
        PickledStorage storage, ElementType type, long offset, ImmutableArray<long> shape, ImmutableArray<long> strides)
    {
        if (shape.Length != strides.Length || offset < 0 || shape.Any(size => size < 0) || strides.Any(stride => stride < 0))
        {
            throw new InvalidDataException(
                $"A tensor has the invalid shape [{string.Join(", ", shape)}], strides [{string.Join(", ", strides)}] or offset {offset}.");
        }
        checked
        {
            // An axis of size 0 makes the tensor empty, but must not hide sizes that overflow.
            var bytes = shape.Aggregate((long)type.Size, (product, size) => product * Math.Max(size, 1));
            if (shape.Contains(0))
                return new(storage, type, offset, shape, strides, 0, 0);
            var extent = 1 + shape.Zip(strides, (size, stride) => (size - 1) * stride).Sum();
            if ((offset + extent) * type.Size > storage.Bytes)
            {
                throw new InvalidDataException(
                    $"A tensor of shape [{string.Join(", ", shape)}] ends outside its storage '{storage.Key}'.");
            }
            return new(storage, type, offset, shape, strides, extent, bytes);
        }
    }
}

/// <summary>The memory of one or more tensors: an entry of the file.</summary>
internal sealed record PickledStorage(string Key, ElementType Type, long Bytes);

/// <summary>The type of a tensor's values and the number of bytes of each.</summary>
internal sealed record ElementType(ScalarType Scalar, int Size);
