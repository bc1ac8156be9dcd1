using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// Reads known-size vectors of pixels according to the dimensions of their type: [height, width], [height, width, channels] or [channels,
/// height, width] (the default of ML.NET's ExtractPixels). A vector with one dimension has the order height x width x channels.
/// </summary>
internal static class PixelVector
{
    private const int MostChannels = 4;

    /// <summary>Determines the shape of a column's images.</summary>
    /// <param name="name">The column's name.</param>
    /// <param name="type">The column's type.</param>
    /// <param name="requested">The size that the user requests; null to use the size of the type.</param>
    /// <exception cref="ArgumentException">The type does not fit an image, or not the requested size.</exception>
    public static ImageShape ShapeOf(string name, VectorDataViewType type, (int Width, int Height)? requested)
    {
        var dimensions = DimensionsOf(type);
        return requested is { } size ? ShapeOf(name, type, dimensions, size.Width, size.Height)
            : dimensions.Length == 1 ? Square(name, type)
            : dimensions switch
            {
                [var height, var width] => new ImageShape(height, width, 1),
                [var first, var second, var third] => IsPlanar(first, third)
                    ? new ImageShape(second, third, first)
                    : new ImageShape(first, second, third),
                _ => throw new ArgumentException(
                    $"Column '{name}' is {type}. An image has the dimensions [height, width], [height, width, channels] or "
                    + "[channels, height, width]."),
            };
    }

    /// <summary>Whether the vectors of a column, which hold images of this shape, store one channel after the other.</summary>
    /// <exception cref="ArgumentException">The vectors do not hold images of this shape.</exception>
    public static bool IsPlanar(string name, VectorDataViewType type, ImageShape shape)
    {
        if (type.Size != shape.Length)
            throw new ArgumentException($"Column '{name}' has {type.Size} values in each row, but {shape} = {shape.Length} are expected.");
        return !IsFlat(type) && DimensionsOf(type) switch
        {
            [var height, var width] when (height, width, 1) == (shape.Height, shape.Width, shape.Channels) => false,
            [var height, var width, var channels] when (height, width, channels) == (shape.Height, shape.Width, shape.Channels) => false,
            [var channels, var height, var width] when (height, width, channels) == (shape.Height, shape.Width, shape.Channels) => true,
            _ => throw new ArgumentException($"Column '{name}' is {type}, whose dimensions do not match images of {shape}."),
        };
    }

    /// <summary>Copies values in the order channels x height x width to the order height x width x channels.</summary>
    public static void Interleave<T>(in VBuffer<T> planes, int channels, Span<T> pixels)
    {
        var values = planes.GetValues();
        var area = pixels.Length / channels;
        if (planes.IsDense)
        {
            for (var (i, channel) = (0, 0); channel < channels; channel++)
            {
                for (var target = channel; target < pixels.Length; target += channels)
                    pixels[target] = values[i++];
            }
            return;
        }
        pixels.Clear();
        var indices = planes.GetIndices();
        for (var i = 0; i < values.Length; i++)
            pixels[(indices[i] % area * channels) + (indices[i] / area)] = values[i];
    }

    /// <summary>Converts the values to bytes; returns false if one of them is not an integer from 0 to 255.</summary>
    public static bool TryNarrow(ReadOnlySpan<float> values, Span<byte> bytes)
    {
        for (var i = 0; i < values.Length; i++)
        {
            bytes[i] = (byte)values[i];
            if (bytes[i] != values[i])
                return false;
        }
        return true;
    }

    private static ImageShape ShapeOf(string name, VectorDataViewType type, int[] dimensions, int width, int height)
    {
        if (dimensions is [var h, var w] && (w, h) == (width, height))
            return new ImageShape(height, width, 1);
        if (dimensions is [var rows, var columns, var last] && (columns, rows) == (width, height))
            return new ImageShape(height, width, last);
        if (dimensions is [var first, var planeRows, var planeColumns] && (planeColumns, planeRows) == (width, height))
            return new ImageShape(height, width, first);
        var area = (long)width * height;
        if (type.Size % area != 0)
            throw new ArgumentException(
                $"Column '{name}' has {type.Size} values in each row, which is not a multiple of ImageWidth x ImageHeight = "
                + $"{width} x {height}. Set them to the size of the images.");
        return IsFlat(type)
            ? new ImageShape(height, width, (int)(type.Size / area))
            : throw new ArgumentException(
                $"Column '{name}' is {type}, whose dimensions do not match ImageWidth x ImageHeight = {width} x {height}. "
                + "Leave the options unset.");
    }

    /// <summary>
    /// Whether the first of three dimensions is the channels. 1 and 3 are the likeliest numbers of channels; if both dimensions are
    /// possible, it is the last one.
    /// </summary>
    private static bool IsPlanar(int first, int last) =>
        last is not (1 or 3) && (first is 1 or 3 || (last > MostChannels && first <= MostChannels));

    private static ImageShape Square(string name, VectorDataViewType type)
    {
        foreach (var channels in (ReadOnlySpan<int>)[1, 3])
        {
            var side = (int)Math.Sqrt(type.Size / channels);
            if (side * side * channels == type.Size)
                return new ImageShape(side, side, channels);
        }
        var (gray, color) = ((int)Math.Sqrt(type.Size), (int)Math.Sqrt(type.Size / 3));
        throw new ArgumentException(
            $"Column '{name}' has {type.Size} values in each row, which do not form a square image: {gray} x {gray} x 1 has {gray * gray}, "
            + $"{color} x {color} x 3 has {color * color * 3}. Give its type the dimensions [height, width, channels], "
            + "or set ImageWidth and ImageHeight.");
    }

    /// <summary>Whether the dimensions give only the length of the vector.</summary>
    private static bool IsFlat(VectorDataViewType type) => type.Dimensions.Count(dimension => dimension > 1) <= 1;

    /// <summary>The dimensions of the type, without the leading axis of a batch of one.</summary>
    private static int[] DimensionsOf(VectorDataViewType type)
    {
        int[] dimensions = [.. type.Dimensions];
        return dimensions is [1, _, _, _] ? dimensions[1..] : dimensions;
    }
}
