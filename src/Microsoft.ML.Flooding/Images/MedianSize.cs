using Microsoft.ML.Runtime;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// The default size of images: the median width and height of the first readable images, so that an unusual image has no effect; or a
/// square of <see cref="Largest"/> pixels if the median width or height is larger.
/// </summary>
internal static class MedianSize
{
    /// <summary>The longest side of the default size, in pixels.</summary>
    public const int Largest = 224;

    /// <summary>The number of images whose size is read. It is small, because reading the size of an MLImage decodes it.</summary>
    public const int Images = 33;

    // Images stretched by more than this lose their proportions or details.
    private const double MostStretch = 2;

    /// <summary>Reads the sizes of the first images and logs the size chosen.</summary>
    /// <exception cref="InvalidOperationException">No image can be read.</exception>
    public static ImageShape Of(IDataView data, DataViewSchema.Column column, long maxPixels, IChannel? channel)
    {
        var sizes = Read(data, data.Schema[column.Name], maxPixels);
        var (width, height) = (Median(sizes.Select(size => size.Width)), Median(sizes.Select(size => size.Height)));
        var shape = width <= Largest && height <= Largest ? new ImageShape(height, width, 3) : new ImageShape(Largest, Largest, 3);
        if (sizes.Exists(size => IsFar(size.Width, width) || IsFar(size.Height, height)))
        {
            channel?.Warning(MessageSensitivity.None,
                $"The first {sizes.Count} images of column '{column.Name}' have widths of {Range(sizes.Select(size => size.Width))} "
                + $"and heights of {Range(sizes.Select(size => size.Height))} pixels. All images are resized to "
                + $"{shape.Width} x {shape.Height}, from the median size. To use another size, set ImageWidth and ImageHeight.");
        }
        else
        {
            channel?.Info(MessageSensitivity.None,
                $"Images are resized to {shape.Width} x {shape.Height} pixels, from the median size of the first {sizes.Count} images: "
                + $"{width} x {height}.");
        }
        return shape;
    }

    private static List<(int Width, int Height)> Read(IDataView data, DataViewSchema.Column column, long maxPixels)
    {
        var raw = new RawImage();
        var sizes = new List<(int Width, int Height)>();
        string? firstProblem = null;
        using var cursor = FirstRowsCursor(data, column);
        var read = ImageColumn.CreateGetter(cursor, cursor.Schema[column.Name], isPlanar: false);
        for (var row = 0; (row < Images || sizes.Count == 0) && cursor.MoveNext(); row++)
        {
            var size = (0, 0);
            if ((read(raw) ?? SizeOf(raw, maxPixels, out size)) is { } problem)
                firstProblem ??= problem;
            else
                sizes.Add(size);
        }
        return sizes.Count > 0 ? sizes : throw new InvalidOperationException($"Column '{column.Name}' has no readable image"
            + (firstProblem is null ? ": the data has no rows." : $"; the problem of the first row: {firstProblem}."));
    }

    private static string? SizeOf(RawImage raw, long maxPixels, out (int Width, int Height) size)
    {
        if (raw.Kind != ImageKind.Bitmap)
            return EncodedImage.TryReadSize(raw.Bytes.GetValues(), maxPixels, out size, out var problem) ? null : problem;
        size = Orientation.IsSwapped(raw.Origin) ? (raw.Height, raw.Width) : (raw.Width, raw.Height);
        return raw.Width > 0 ? null : RawImage.NoImage;
    }

    /// <summary>The median; of two middle values, the lower one.</summary>
    private static int Median(IEnumerable<int> values)
    {
        int[] sorted = [.. values.Order()];
        return sorted[(sorted.Length - 1) / 2];
    }

    private static string Range(IEnumerable<int> values) => $"{values.Min()} to {values.Max()}";

    private static bool IsFar(int side, int median)
    {
        var (a, b) = (Math.Min(side, Largest), Math.Min(median, Largest));
        return Math.Max(a, b) > MostStretch * Math.Min(a, b);
    }

    /// <summary>Opens a cursor that does not read ahead: GetRowCursor would read about a hundred files on other threads.</summary>
    private static DataViewRowCursor FirstRowsCursor(IDataView data, DataViewSchema.Column column)
    {
        var cursors = data.GetRowCursorSet([column], 1);
        if (cursors.Length == 1)
            return cursors[0];
        foreach (var cursor in cursors)
            cursor.Dispose();
        return data.GetRowCursor([column]);
    }
}
