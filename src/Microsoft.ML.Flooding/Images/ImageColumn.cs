using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Runtime;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms.Image;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// Turns a row's value of the feature column into pixels of one shape, in training and in scoring. The form of the column follows from its
/// type, so a model does not save it.
/// </summary>
/// <param name="Name">The column's name.</param>
/// <param name="Shape">The shape that each image is resized to.</param>
internal sealed record ImageColumn(string Name, ImageShape Shape)
{
    /// <summary>The default of <see cref="MaxPixels"/>.</summary>
    public const long DefaultMaxPixels = 100_000_000;

    private const string Accepted = "a known-size Vector<Single> or Vector<Byte> of pixels (height x width x channels), "
        + "a variable-length Vector<Byte> of an encoded image (LoadRawImageBytes) or an MLImage (LoadImages)";

    /// <summary>Encoded images with more pixels than this are invalid; they are not decoded. At least 1. Default: 100,000,000.</summary>
    public long MaxPixels { get; init; } = DefaultMaxPixels;

    /// <summary>
    /// The share of an image's shorter side that the crop from its center keeps, in (0, 1]; null to stretch the whole image.
    /// </summary>
    public double? CenterCrop { get; init; }

    /// <summary>
    /// Determines the shape from the type, from the requested size, or from the first images of <paramref name="data"/>; the last is
    /// logged.
    /// </summary>
    public static ImageColumn Create(
        DataViewSchema.Column column, int? imageWidth, int? imageHeight, IDataView data, long maxPixels = DefaultMaxPixels,
        IChannel? channel = null)
    {
        if (imageWidth is null != imageHeight is null)
            throw new ArgumentException("ImageWidth and ImageHeight go together: set both, or neither.");
        if (imageWidth < 1 || imageHeight < 1)
            throw new ArgumentException($"ImageWidth and ImageHeight must be positive; they are {imageWidth} and {imageHeight}.");
        if (maxPixels < 1)
            throw new ArgumentException($"MaxPixels must be positive; it is {maxPixels}.");

        (int Width, int Height)? requested = imageWidth is { } w && imageHeight is { } h ? (w, h) : null;
        var shape = KindOf(column.Name, column.Type) is ImageKind.Bytes or ImageKind.Values
            ? PixelVector.ShapeOf(column.Name, (VectorDataViewType)column.Type, requested)
            : requested is { } size ? new ImageShape(size.Height, size.Width, 3)
            : MedianSize.Of(data, column, maxPixels, channel);
        return shape.IsPossible
            ? new ImageColumn(column.Name, shape) { MaxPixels = maxPixels }
            : throw new ArgumentException(
                $"Column '{column.Name}' would have images of {shape} (height x width x channels). A side has at most "
                + $"{ImageShape.LongestSide:N0} pixels, and an image at most {ImageShape.MostValues:N0} values. "
                + "Set ImageWidth and ImageHeight.");
    }

    /// <summary>Whether images of the column can be resized. Vectors of pixels cannot.</summary>
    public static bool Resizes(DataViewSchema.Column column) => KindOf(column.Name, column.Type) is ImageKind.Encoded or ImageKind.Bitmap;

    /// <summary>The type of a column that holds images of this kind and shape.</summary>
    public static DataViewType TypeOf(ImageKind kind, ImageShape shape) => kind switch
    {
        ImageKind.Encoded => new VectorDataViewType(NumberDataViewType.Byte),
        ImageKind.Bitmap => new ImageDataViewType(),
        _ => new VectorDataViewType(
            kind == ImageKind.Bytes ? NumberDataViewType.Byte : NumberDataViewType.Single, shape.Height, shape.Width, shape.Channels),
    };

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

    /// <summary>A log message: what images lose in a column of MLImage, and what to do about it.</summary>
    public static string LossOfBitmaps(string columnName) =>
        $"Column '{columnName}' holds MLImage, which does not keep the EXIF orientation of a photo or the colors of fully "
        + "transparent pixels. "
        + "For images from LoadImages, the orientation is read from the file; other images are used as they are stored. "
        + "LoadRawImageBytes keeps everything. Use the same kind of column for training and prediction.";

    /// <summary>Throws if an ML.NET cache has dropped the column.</summary>
    /// <exception cref="ArgumentException">The data has no such column, and comes from an ML.NET cache.</exception>
    public static void ThrowIfCachedAway(IDataView data, string columnName)
    {
        if (data.Schema.GetColumnOrNull(columnName) is null && HostViews.IsCached(data))
            throw new ArgumentException(
                $"The data has no column '{columnName}'. Its columns: {string.Join(", ", data.Schema.Select(c => c.Name))}. "
                + "The data comes from an ML.NET cache (AppendCacheCheckpoint or Data.Cache), which drops columns of MLImage. "
                + "Remove the cache: training reads the images once and keeps them. Or load the images with LoadRawImageBytes, which a "
                + "cache keeps.");
    }

    /// <summary>Whether the pixels of a column of this type are float32; otherwise they are uint8.</summary>
    public static bool HoldsFloats(DataViewType type) =>
        type is VectorDataViewType { ItemType: var item } && item == NumberDataViewType.Single;

    /// <summary>
    /// Creates a function that reads the current row of the cursor. Call it on the cursor's thread. It returns null, or the problem if the
    /// row cannot be read (LoadImages throws for a damaged file): other rows may still be good.
    /// </summary>
    public Func<RawImage, string?> CreateGetter(DataViewRow row)
    {
        var column = row.Schema[Name];
        var isPlanar = false;
        if (KindOf(Name, column.Type) is ImageKind.Bytes or ImageKind.Values)
            isPlanar = PixelVector.IsPlanar(Name, (VectorDataViewType)column.Type, Shape);
        else if (Shape.Channels != 3)
            throw new ArgumentException(
                $"Column '{Name}' holds {column.Type}, whose images have 3 channels, but images of {Shape} are expected.");
        return CreateGetter(row, column, isPlanar);
    }

    /// <summary>Same as <see cref="CreateGetter(DataViewRow)"/>, for any shape.</summary>
    internal static Func<RawImage, string?> CreateGetter(DataViewRow row, DataViewSchema.Column column, bool isPlanar)
    {
        var read = CreateReader(row, column, isPlanar);
        return raw =>
        {
            try
            {
                read(raw);
                return null;
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                return e.GetBaseException().Message.TrimEnd('.');
            }
        };
    }

    /// <summary>
    /// Writes the pixels of one image, float32 or uint8 as <see cref="HoldsFloats"/> says; returns false and the problem if it cannot.
    /// </summary>
    /// <remarks>Thread-safe. The result depends on the value only.</remarks>
    public bool TryDecode(RawImage raw, Span<byte> pixels, [NotNullWhen(false)] out string? problem)
    {
        problem = null;
        switch (raw.Kind)
        {
            case ImageKind.Encoded:
                return EncodedImage.TryDecode(raw.Bytes.GetValues(), Shape, CenterCrop, MaxPixels, pixels, out problem);
            case ImageKind.Bitmap:
                if (raw.Width == 0)
                    problem = RawImage.NoImage;
                else
                    ResizeBitmap(raw, pixels);
                break;
            case ImageKind.Bytes:
                problem = Copy(raw.Bytes, raw.IsPlanar, pixels);
                break;
            default:
                var values = MemoryMarshal.Cast<byte, float>(pixels);
                problem = Copy(raw.Values, raw.IsPlanar, values);
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
        new($"Column '{columnName}' is {type}, which cannot be read as images. Use {Accepted}.");

    private unsafe void ResizeBitmap(RawImage raw, Span<byte> pixels)
    {
        fixed (byte* stored = raw.Bytes.GetValues())
            Orientation.ResizeUpright(stored, raw.Width, raw.Height, raw.Origin, CenterCrop, raw.IsBgra, pixels, Shape);
    }

    private string? Copy<T>(in VBuffer<T> source, bool isPlanar, Span<T> pixels)
    {
        if (source.Length != Shape.Length)
            return $"it has {source.Length} values instead of {Shape.Length}";
        if (isPlanar)
            PixelVector.Interleave(source, Shape.Channels, pixels);
        else
            source.CopyTo(pixels);
        return null;
    }

    private static Action<RawImage> CreateReader(DataViewRow row, DataViewSchema.Column column, bool isPlanar)
    {
        var kind = KindOf(column.Name, column.Type);
        switch (kind)
        {
            case ImageKind.Bitmap:
                var bitmap = row.GetGetter<MLImage>(column);
                return raw =>
                {
                    // The getter disposes of the image that it is given, which may belong to the user's collection: give it none.
                    MLImage image = null!;
                    bitmap(ref image);
                    raw.ReadBitmap(image);
                };
            case ImageKind.Values:
                var values = row.GetGetter<VBuffer<float>>(column);
                return raw => raw.ReadValues(isPlanar, values);
            default:
                var bytes = row.GetGetter<VBuffer<byte>>(column);
                return raw => raw.ReadBytes(kind, isPlanar, bytes);
        }
    }
}

/// <summary>The forms of images in a column.</summary>
internal enum ImageKind
{
    /// <summary>Variable-length Vector&lt;Byte&gt;: a JPEG, PNG, WebP, GIF or BMP file.</summary>
    Encoded,

    /// <summary><see cref="Data.MLImage"/>.</summary>
    Bitmap,

    /// <summary>Known-size Vector&lt;Byte&gt;: pixels, height x width x channels.</summary>
    Bytes,

    /// <summary>Known-size Vector&lt;Single&gt;: pixels, height x width x channels.</summary>
    Values,
}
