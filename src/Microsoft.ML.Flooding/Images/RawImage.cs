using Microsoft.ML.Data;
using SkiaSharp;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// The value of one row as the cursor returns it, before decoding. Reading is cheap and runs on the cursor's thread;
/// <see cref="ImageColumn.TryDecode"/> may run on any thread. Reuse an instance for many rows: it keeps its buffers.
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

    /// <summary>The width of an <see cref="ImageKind.Bitmap"/> in pixels; 0 if the row has no image.</summary>
    internal int Width { get; private set; }

    /// <summary>The height of an <see cref="ImageKind.Bitmap"/> in pixels; 0 if the row has no image.</summary>
    internal int Height { get; private set; }

    /// <summary>The orientation of an <see cref="ImageKind.Bitmap"/>.</summary>
    internal SKEncodedOrigin Origin { get; private set; }

    /// <summary>Whether <see cref="ImageKind.Bytes"/> and <see cref="ImageKind.Values"/> store one channel after the other.</summary>
    internal bool IsPlanar { get; private set; }

    /// <summary>Whether an <see cref="ImageKind.Bitmap"/> has blue before red.</summary>
    internal bool IsBgra { get; private set; }

    /// <summary>The size of the value in bytes.</summary>
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
    /// Copies the bitmap: the cursor may dispose of it when it advances, or the user's collection may own it. Restores what it can of what
    /// MLImage drops: the colors that MLImage multiplied by alpha, and the orientation if the file is known (LoadImages stores its path in
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
    /// Divides the colors by alpha and rounds: MLImage multiplies the colors by alpha, but files do not. The color of a pixel with alpha 0
    /// is lost. If any pixel is brighter than its alpha, the colors were not multiplied (MLImage.CreateFromPixels does not do so), and do
    /// not change.
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

    /// <summary>Whether at least one pixel is translucent and no pixel is brighter than its alpha.</summary>
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
