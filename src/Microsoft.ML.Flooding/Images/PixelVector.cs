using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// How a known-size vector of pixels is read by the dimensions of its type: [height, width], [height, width, channels] or
/// [channels, height, width]. A vector with one dimension is in height x width x channels order.
/// </summary>
internal static class PixelVector
{
    private const int MostChannels = 4;

    /// <summary>The shape of the images of a column.</summary>
    /// <param name="name">The column's name.</param>
    /// <param name="type">The column's type.</param>
    /// <param name="asked">The size that the user gives; null to take it from the type.</param>
    /// <exception cref="ArgumentException">The type fits no image, or not the size asked for.</exception>
    public static ImageShape ShapeOf(string name, VectorDataViewType type, (int Width, int Height)? asked)
    {
        var dimensions = DimensionsOf(type);
        return asked is { } size ? ShapeOf(name, type, dimensions, size.Width, size.Height)
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

    /// <summary>Whether the vectors of a column that hold images of this shape have one channel after the other.</summary>
    /// <exception cref="ArgumentException">They do not hold images of this shape.</exception>
    public static bool IsPlanar(string name, VectorDataViewType type, ImageShape shape)
    {
        if (type.Size != shape.Length)
            throw new ArgumentException($"Column '{name}' has {type.Size} values a row; {shape} = {shape.Length} are expected.");
        return !IsFlat(type) && DimensionsOf(type) switch
        {
            [var height, var width] when (height, width, 1) == (shape.Height, shape.Width, shape.Channels) => false,
            [var height, var width, var channels] when (height, width, channels) == (shape.Height, shape.Width, shape.Channels) => false,
            [var channels, var height, var width] when (height, width, channels) == (shape.Height, shape.Width, shape.Channels) => true,
            _ => throw new ArgumentException($"Column '{name}' is {type}, whose dimensions are not those of images of {shape}."),
        };
    }

    /// <summary>Writes channels x height x width as height x width x channels.</summary>
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

    /// <summary>Writes the values as bytes; false if one of them is not a whole number in 0..255.</summary>
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
                $"Column '{name}' has {type.Size} values a row, which is no multiple of ImageWidth x ImageHeight = {width} x {height}.");
        return IsFlat(type)
            ? new ImageShape(height, width, (int)(type.Size / area))
            : throw new ArgumentException(
                $"Column '{name}' is {type}, whose dimensions are not those of ImageWidth x ImageHeight = {width} x {height}. "
                + "Leave the options unset.");
    }

    /// <summary>1 and 3 are numbers of channels before all others, and the last dimension is the channels' before the first.</summary>
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

        var (grey, colour) = ((int)Math.Sqrt(type.Size), (int)Math.Sqrt(type.Size / 3));
        throw new ArgumentException(
            $"Column '{name}' has {type.Size} values a row, which is no square image: {grey} x {grey} x 1 has {grey * grey}, "
            + $"{colour} x {colour} x 3 has {colour * colour * 3}. Give its type the dimensions [height, width, channels], "
            + "or set ImageWidth and ImageHeight.");
    }

    /// <summary>Nothing but the length is said.</summary>
    private static bool IsFlat(VectorDataViewType type) => type.Dimensions.Count(dimension => dimension > 1) <= 1;

    /// <summary>Without the axis of a batch of one.</summary>
    private static int[] DimensionsOf(VectorDataViewType type)
    {
        int[] dimensions = [.. type.Dimensions];
        return dimensions is [1, _, _, _] ? dimensions[1..] : dimensions;
    }
}
