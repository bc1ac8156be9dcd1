namespace Microsoft.ML.Flooding.Images;

/// <summary>Raw pixels of several images of one shape in unmanaged memory, [N, H, W, C].</summary>
/// <param name="Start">The first value. The memory belongs to the creator.</param>
/// <param name="Count">The number of images.</param>
/// <param name="Shape">The shape of each image.</param>
/// <param name="AreFloats">Whether the values are float32; otherwise they are uint8.</param>
internal readonly unsafe record struct PixelBatch(nint Start, int Count, ImageShape Shape, bool AreFloats)
{
    /// <summary>The number of bytes.</summary>
    public long Length => (long)Count * Shape.Length * (AreFloats ? sizeof(float) : sizeof(byte));

    /// <summary>The values of one image.</summary>
    public ReadOnlySpan<T> Image<T>(int index) where T : unmanaged =>
        new((T*)Start + ((long)index * Shape.Length), Shape.Length);
}
