using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// The value of one row as the cursor gave it, not yet decoded. Reading one is cheap and belongs to the cursor's thread;
/// <see cref="ImageColumn.TryDecode"/> may run on any thread. Meant to be reused row after row: the buffers are kept.
/// </summary>
internal sealed class RawImage
{
    private VBuffer<byte> _bytes;
    private VBuffer<float> _values;

    internal ImageKind Kind { get; private set; }

    /// <summary>Pixels of an <see cref="ImageKind.Bitmap"/>; 0 x 0 where the row has none.</summary>
    internal int Width { get; private set; }

    internal int Height { get; private set; }

    /// <summary>Blue before red, of an <see cref="ImageKind.Bitmap"/>.</summary>
    internal bool IsBgra { get; private set; }

    internal ref readonly VBuffer<byte> Bytes => ref _bytes;

    internal ref readonly VBuffer<float> Values => ref _values;

    internal void ReadBytes(ImageKind kind, ValueGetter<VBuffer<byte>> getter)
    {
        Kind = kind;
        getter(ref _bytes);
    }

    internal void ReadValues(ValueGetter<VBuffer<float>> getter)
    {
        Kind = ImageKind.Values;
        getter(ref _values);
    }

    /// <summary>Copies the bitmap: the cursor may dispose it when it moves on, or the user's collection may own it.</summary>
    internal void ReadBitmap(MLImage? image)
    {
        Kind = ImageKind.Bitmap;
        (Width, Height) = image is null ? (0, 0) : (image.Width, image.Height);
        var editor = VBufferEditor.Create(ref _bytes, checked(Width * Height * 4));
        if (image is not null)
        {
            IsBgra = image.PixelFormat == MLPixelFormat.Bgra32;
            image.Pixels.CopyTo(editor.Values);
        }

        _bytes = editor.Commit();
    }
}
