using Microsoft.ML.Runtime;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// The size that images are brought to where nobody says one: the median width and height of the first ones that can be read, so that an
/// odd image among them does not decide, or a square of <see cref="Largest"/> where one of the two is larger.
/// </summary>
internal static class MedianSize
{
    /// <summary>The longest side.</summary>
    public const int Largest = 224;

    /// <summary>Images looked at. An MLImage is decoded for it, so these are few.</summary>
    public const int Images = 33;

    // Images that are stretched by more than this have lost their proportions or details.
    private const double MostStretch = 2;

    /// <summary>Reads the sizes of the first images and says in the log what follows from them.</summary>
    /// <exception cref="InvalidOperationException">No image can be read.</exception>
    public static ImageShape Of(IDataView data, DataViewSchema.Column column, long maxPixels, IChannel? channel)
    {
        var sizes = Read(data, data.Schema[column.Name], maxPixels);
        var (width, height) = (Median(sizes.Select(size => size.Width)), Median(sizes.Select(size => size.Height)));
        var shape = width <= Largest && height <= Largest ? new ImageShape(height, width, 3) : new ImageShape(Largest, Largest, 3);
        if (sizes.Exists(size => IsFar(size.Width, width) || IsFar(size.Height, height)))
        {
            channel?.Warning(MessageSensitivity.None,
                $"The first {sizes.Count} images of column '{column.Name}' have widths of {Range(sizes.Select(size => size.Width))} and heights of "
                + $"{Range(sizes.Select(size => size.Height))} pixels. All images are brought to {shape.Width} x {shape.Height}, by the median; "
                + "set ImageWidth and ImageHeight for another size.");
        }
        else
        {
            channel?.Info(MessageSensitivity.None,
                $"Images are brought to {shape.Width} x {shape.Height} pixels, by the median size of the first {sizes.Count}: {width} x {height}.");
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
            + (firstProblem is null ? ": the data has no rows." : $"; the first row's: {firstProblem}."));
    }

    private static string? SizeOf(RawImage raw, long maxPixels, out (int Width, int Height) size)
    {
        if (raw.Kind != ImageKind.Bitmap)
            return EncodedImage.TryReadSize(raw.Bytes.GetValues(), maxPixels, out size, out var problem) ? null : problem;
        size = Orientation.IsSwapped(raw.Origin) ? (raw.Height, raw.Width) : (raw.Width, raw.Height);
        return raw.Width > 0 ? null : RawImage.NoImage;
    }

    /// <summary>The lower one of two in the middle.</summary>
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

    /// <summary>GetRowCursor would read ahead on other threads, a hundred files for the sake of a few.</summary>
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
