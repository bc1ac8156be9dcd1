using System.Runtime.InteropServices;
using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>Random images in memory, uint8.</summary>
internal sealed unsafe class RandomPixels : IDisposable
{
    private readonly ImageShape _shape;
    private readonly byte* _start;

    public RandomPixels(ImageShape shape, int count)
    {
        _shape = shape;
        var length = count * shape.Length;
        _start = (byte*)NativeMemory.AlignedAlloc((nuint)length, 64);
        new Random(1).NextBytes(new Span<byte>(_start, length));
    }

    /// <summary>The first images.</summary>
    public PixelBatch Batch(int count) => new((nint)_start, count, _shape, AreFloats: false);

    public void Dispose() => NativeMemory.AlignedFree(_start);
}
