using Microsoft.ML.Data;
using SkiaSharp;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// The value of one row as the cursor gave it, not yet decoded. Reading one is cheap and belongs to the cursor's thread;
/// <see cref="ImageColumn.TryDecode"/> may run on any thread. Meant to be reused row after row: the buffers are kept.
/// </summary>
internal sealed class RawImage
{
    /// <summary>The problem of a row whose <see cref="MLImage"/> is null.</summary>
    internal const string NoImage = "there is no image (null)";

    private const int BytesPerPixel = 4;
    private const byte Opaque = 255;

    private VBuffer<byte> _bytes;
    private VBuffer<float> _values;

    internal ImageKind Kind { get; private set; }

    /// <summary>Pixels of an <see cref="ImageKind.Bitmap"/>; 0 x 0 where the row has none.</summary>
    internal int Width { get; private set; }

    internal int Height { get; private set; }

    /// <summary>Where the first row and column of an <see cref="ImageKind.Bitmap"/> belong.</summary>
    internal SKEncodedOrigin Origin { get; private set; }

    /// <summary>One channel after the other, of <see cref="ImageKind.Bytes"/> and <see cref="ImageKind.Values"/>.</summary>
    internal bool IsPlanar { get; private set; }

    /// <summary>Blue before red, of an <see cref="ImageKind.Bitmap"/>.</summary>
    internal bool IsBgra { get; private set; }

    /// <summary>The bytes that the value takes.</summary>
    internal long Size => Kind == ImageKind.Values ? (long)_values.Length * sizeof(float) : _bytes.Length;

    internal ref readonly VBuffer<byte> Bytes => ref _bytes;

    internal ref readonly VBuffer<float> Values => ref _values;

    internal void ReadBytes(ImageKind kind, bool isPlanar, ValueGetter<VBuffer<byte>> getter)
    {
        (Kind, IsPlanar) = (kind, isPlanar);
        getter(ref _bytes);
    }

    internal void ReadValues(bool isPlanar, ValueGetter<VBuffer<float>> getter)
    {
        (Kind, IsPlanar) = (ImageKind.Values, isPlanar);
        getter(ref _values);
    }

    /// <summary>
    /// Copies the bitmap: the cursor may dispose it when it moves on, or the user's collection may own it. What MLImage does not keep of a
    /// file is restored as far as it can be: the colours under alpha, and the orientation where the file is known (LoadImages names it in
    /// the tag).
    /// </summary>
    internal void ReadBitmap(MLImage? image)
    {
        Kind = ImageKind.Bitmap;
        (Width, Height) = image is null ? (0, 0) : (image.Width, image.Height);
        var editor = VBufferEditor.Create(ref _bytes, checked(Width * Height * BytesPerPixel));
        if (image is not null)
        {
            IsBgra = image.PixelFormat == MLPixelFormat.Bgra32;
            Origin = Orientation.Of(image.Tag, Width, Height);
            image.Pixels.CopyTo(editor.Values);
            Unpremultiply(editor.Values);
        }

        _bytes = editor.Commit();
    }

    /// <summary>
    /// Divides the colours by their alpha, rounded; the colour of a pixel whose alpha is 0 is lost. Pixels of which one is brighter than
    /// its alpha were never multiplied (MLImage.CreateFromPixels takes them as they come), and stay as they are.
    /// </summary>
    private static void Unpremultiply(Span<byte> pixels)
    {
        if (!IsPremultiplied(pixels))
            return;
        for (var i = 0; i < pixels.Length; i += BytesPerPixel)
        {
            var alpha = pixels[i + 3];
            if (alpha is 0 or Opaque)
                continue;
            for (var c = i; c < i + 3; c++)
                pixels[c] = (byte)(((pixels[c] * Opaque) + (alpha / 2)) / alpha);
        }
    }

    /// <summary>Whether a pixel is translucent and none is brighter than its alpha.</summary>
    private static bool IsPremultiplied(ReadOnlySpan<byte> pixels)
    {
        var isTranslucent = false;
        for (var i = 0; i < pixels.Length; i += BytesPerPixel)
        {
            var alpha = pixels[i + 3];
            if (alpha == Opaque)
                continue;
            isTranslucent = true;
            if (pixels[i] > alpha || pixels[i + 1] > alpha || pixels[i + 2] > alpha)
                return false;
        }

        return isTranslucent;
    }
}
