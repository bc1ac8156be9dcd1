using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// How one row's value of the feature column becomes pixels of one shape, in training and in scoring alike. The name, the shape
/// and the pixel limit are all there is to save: the form of the column follows from its type wherever it is read.
/// </summary>
/// <param name="Name">The column's name.</param>
/// <param name="Shape">The shape every image is brought to.</param>
internal sealed record ImageColumn(string Name, ImageShape Shape)
{
    /// <summary>A larger encoded image is refused before it is decoded.</summary>
    public const long DefaultMaxPixels = 100_000_000;

    /// <summary>First images up to this side give the set its size; larger ones are brought to this size.</summary>
    public const int DefaultSide = 224;

    private const string Accepted = "a known-size Vector<Single> or Vector<Byte> of pixels (height x width x channels), "
        + "a variable-length Vector<Byte> of an encoded image (LoadRawImageBytes) or an MLImage (LoadImages)";

    /// <summary>Encoded images of more pixels than this are invalid.</summary>
    public long MaxPixels { get; init; } = DefaultMaxPixels;

    /// <summary>The share of an image's shorter side that is cut from its middle, in (0, 1]; null where images are stretched as a whole.</summary>
    public double? CenterCrop { get; init; }

    /// <summary>Works out the shape: from the type, from the size asked for, or from the first image of <paramref name="data"/>.</summary>
    public static ImageColumn Create(
        DataViewSchema.Column column, int? imageWidth, int? imageHeight, IDataView? data, long maxPixels = DefaultMaxPixels)
    {
        if (imageWidth is null != imageHeight is null)
            throw new ArgumentException("ImageWidth and ImageHeight go together: set both or neither.");
        if (imageWidth < 1 || imageHeight < 1)
            throw new ArgumentException($"ImageWidth and ImageHeight must be positive; they are {imageWidth} and {imageHeight}.");
        if (maxPixels < 1)
            throw new ArgumentException($"MaxPixels must be positive; it is {maxPixels}.");

        (int Width, int Height)? asked = imageWidth is { } w && imageHeight is { } h ? (w, h) : null;
        var shape = KindOf(column.Name, column.Type) is ImageKind.Bytes or ImageKind.Values
            ? InferShape(column.Name, (VectorDataViewType)column.Type, asked)
            : asked is { } size ? new ImageShape(size.Height, size.Width, 3)
            : FirstShape(column, data ?? throw new ArgumentNullException(nameof(data)), maxPixels);
        return shape.IsPossible
            ? new ImageColumn(column.Name, shape) { MaxPixels = maxPixels }
            : throw new ArgumentException(
                $"Column '{column.Name}' would be images of {shape} (height x width x channels). A side has at most {ImageShape.LongestSide:N0} pixels, an image "
                + $"at most {ImageShape.MostValues:N0} values: set ImageWidth and ImageHeight.");
    }

    /// <summary>Whether images of the column are brought to any size, as vectors of pixels are not.</summary>
    public static bool Resizes(DataViewSchema.Column column) => KindOf(column.Name, column.Type) is ImageKind.Encoded or ImageKind.Bitmap;

    /// <summary>Throws unless images can be read from a column of this type.</summary>
    public static void CheckType(string columnName, DataViewType type) => KindOf(columnName, type);

    /// <summary>Throws unless images can be read from this column.</summary>
    public static void CheckType(SchemaShape.Column column)
    {
        var fits = column.Kind switch
        {
            SchemaShape.Column.VectorKind.Scalar => column.ItemType is ImageDataViewType,
            SchemaShape.Column.VectorKind.Vector => IsPixel(column.ItemType) && !column.IsKey,
            _ => column.ItemType == NumberDataViewType.Byte && !column.IsKey,
        };
        if (!fits)
            throw WrongType(column.Name, $"{column.Kind} of {column.ItemType}");
    }

    /// <summary>The type of the pixels a column of this type gives: bytes, or floats where it holds floats.</summary>
    public static ScalarType PixelTypeOf(DataViewType type) =>
        type is VectorDataViewType { ItemType: var item } && item == NumberDataViewType.Single ? ScalarType.Float32 : ScalarType.Byte;

    /// <summary>A function that reads the cursor's current row, to be called on the cursor's thread.</summary>
    public Action<RawImage> CreateGetter(DataViewRow row)
    {
        var column = row.Schema[Name];
        var kind = KindOf(Name, column.Type);
        if (kind is ImageKind.Encoded or ImageKind.Bitmap)
        {
            if (Shape.Channels != 3)
                throw new ArgumentException($"Column '{Name}' holds {column.Type}, which is read as 3 channels; {Shape} is expected.");
        }
        else if (((VectorDataViewType)column.Type).Size != Shape.Length)
        {
            throw new ArgumentException(
                $"Column '{Name}' has {((VectorDataViewType)column.Type).Size} values a row; {Shape} = {Shape.Length} are expected.");
        }

        return CreateGetter(row, column, kind);
    }

    /// <summary>Writes the pixels of one image, bytes or floats by <see cref="PixelTypeOf"/>; false with the reason where there are none.</summary>
    /// <remarks>Thread-safe, and a function of the value alone.</remarks>
    public bool TryDecode(RawImage raw, Span<byte> pixels, [NotNullWhen(false)] out string? problem)
    {
        problem = null;
        switch (raw.Kind)
        {
            case ImageKind.Encoded:
                return EncodedImage.TryDecode(raw.Bytes.GetValues(), Shape, CenterCrop, MaxPixels, pixels, out problem);
            case ImageKind.Bitmap:
                if (raw.Width == 0)
                    problem = "there is no image (null)";
                else
                    Resampler.Resize(
                        raw.Bytes.GetValues(), raw.Width, SourceArea.Of(raw.Width, raw.Height, CenterCrop, Shape.Width, Shape.Height), raw.IsBgra, pixels,
                        Shape.Width, Shape.Height);
                break;
            case ImageKind.Bytes:
                if (raw.Bytes.Length != Shape.Length)
                    problem = $"it has {raw.Bytes.Length} values instead of {Shape.Length}";
                else
                    raw.Bytes.CopyTo(pixels);
                break;
            default:
                var values = MemoryMarshal.Cast<byte, float>(pixels);
                if (raw.Values.Length != Shape.Length)
                    problem = $"it has {raw.Values.Length} values instead of {Shape.Length}";
                else
                    raw.Values.CopyTo(values);
                if (problem is null && !IsFinite(values))
                    problem = "it holds NaN or infinite values";
                break;
        }

        return problem is null;
    }

    internal static ImageKind KindOf(string columnName, DataViewType type) => type switch
    {
        ImageDataViewType => ImageKind.Bitmap,
        VectorDataViewType { IsKnownSize: true } vector when vector.ItemType == NumberDataViewType.Byte => ImageKind.Bytes,
        VectorDataViewType { IsKnownSize: true } vector when vector.ItemType == NumberDataViewType.Single => ImageKind.Values,
        VectorDataViewType vector when vector.ItemType == NumberDataViewType.Byte => ImageKind.Encoded,
        _ => throw WrongType(columnName, type.ToString()!),
    };

    private static bool IsFinite(ReadOnlySpan<float> values)
    {
        foreach (var value in values)
        {
            if (!float.IsFinite(value))
                return false;
        }

        return true;
    }

    private static bool IsPixel(DataViewType type) => type == NumberDataViewType.Byte || type == NumberDataViewType.Single;

    private static ArgumentException WrongType(string columnName, string type) =>
        new($"Column '{columnName}' is {type}; images are read from {Accepted}.");

    private static Action<RawImage> CreateGetter(DataViewRow row, DataViewSchema.Column column, ImageKind kind)
    {
        switch (kind)
        {
            case ImageKind.Bitmap:
                var bitmap = row.GetGetter<MLImage>(column);
                return raw =>
                {
                    // The getter disposes what it is handed, and a collection's own image must outlive the row: hand it none.
                    MLImage image = null!;
                    bitmap(ref image);
                    raw.ReadBitmap(image);
                };
            case ImageKind.Values:
                var values = row.GetGetter<VBuffer<float>>(column);
                return raw => raw.ReadValues(values);
            default:
                var bytes = row.GetGetter<VBuffer<byte>>(column);
                return raw => raw.ReadBytes(kind, bytes);
        }
    }

    private static ImageShape InferShape(string name, VectorDataViewType type, (int Width, int Height)? asked)
    {
        if (asked is { } size)
        {
            var area = (long)size.Width * size.Height;
            return type.Size % area == 0
                ? new ImageShape(size.Height, size.Width, (int)(type.Size / area))
                : throw new ArgumentException(
                    $"Column '{name}' has {type.Size} values a row, which is no multiple of ImageWidth x ImageHeight = {size.Width} x {size.Height}.");
        }

        var dimensions = type.Dimensions;
        if (dimensions.Length == 2)
            return new ImageShape(dimensions[0], dimensions[1], 1);
        if (dimensions.Length == 3)
        {
            if (dimensions[2] is 1 or 3)
                return new ImageShape(dimensions[0], dimensions[1], dimensions[2]);
            if (dimensions[0] == 1)
                return new ImageShape(dimensions[1], dimensions[2], 1);
            if (dimensions[0] == 3)
                throw new ArgumentException(
                    $"Column '{name}' is {type}: one channel after the other. Pixels are read in height x width x channels order: "
                    + "give ExtractPixels interleavePixelColors: true.");
        }

        foreach (var channels in (ReadOnlySpan<int>)[1, 3])
        {
            var side = (int)Math.Sqrt(type.Size / channels);
            if (side * side * channels == type.Size)
                return new ImageShape(side, side, channels);
        }

        throw new ArgumentException(
            $"Column '{name}' has {type.Size} values a row, which is no square image of 1 or 3 channels: set ImageWidth and ImageHeight.");
    }

    private static ImageShape FirstShape(DataViewSchema.Column column, IDataView data, long maxPixels)
    {
        var raw = new RawImage();
        using var cursor = FirstRowCursor(data, data.Schema[column.Name]);
        var read = CreateGetter(cursor, cursor.Schema[column.Name], KindOf(column.Name, column.Type));
        string? problem = null;
        while (cursor.MoveNext())
        {
            read(raw);
            (int Width, int Height) size;
            if (raw.Kind == ImageKind.Bitmap ? (size = (raw.Width, raw.Height)).Width > 0
                : EncodedImage.TryReadSize(raw.Bytes.GetValues(), maxPixels, out size, out problem))
            {
                return size is { Width: <= DefaultSide, Height: <= DefaultSide }
                    ? new ImageShape(size.Height, size.Width, 3)
                    : new ImageShape(DefaultSide, DefaultSide, 3);
            }
        }

        throw new InvalidOperationException($"Column '{column.Name}' has no readable image"
            + (problem is null ? ": the data has no rows." : $"; the last row's: {problem}."));
    }

    /// <summary>GetRowCursor would read ahead on other threads, a hundred files for the sake of one.</summary>
    private static DataViewRowCursor FirstRowCursor(IDataView data, DataViewSchema.Column column)
    {
        var cursors = data.GetRowCursorSet([column], 1);
        if (cursors.Length == 1)
            return cursors[0];
        foreach (var cursor in cursors)
            cursor.Dispose();
        return data.GetRowCursor([column]);
    }
}
