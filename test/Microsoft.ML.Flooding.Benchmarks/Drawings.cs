using SkiaSharp;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>JPEG files of drawn images. Like photos, and unlike noise, they have edges and even areas.</summary>
internal static class Drawings
{
    private const int Different = 100;

    /// <summary>Returns encoded images that repeat a hundred different ones.</summary>
    public static IEnumerable<byte[]> Jpeg(int count, int side)
    {
        var random = new Random(1);
        using var bitmap = new SKBitmap(side, side);
        using var canvas = new SKCanvas(bitmap);
        using var paint = new SKPaint();
        var encoded = new List<byte[]>();
        foreach (var _ in Enumerable.Range(0, Different))
        {
            canvas.Clear(new SKColor((uint)random.Next() | 0xFF000000));
            for (var shape = 0; shape < 12; shape++)
            {
                paint.Color = new SKColor((uint)random.Next() | 0xFF000000);
                canvas.DrawCircle(random.Next(side), random.Next(side), random.Next(2, side / 3), paint);
            }
            using var data = bitmap.Encode(SKEncodedImageFormat.Jpeg, 90);
            encoded.Add(data.ToArray());
        }
        return Enumerable.Range(0, count).Select(i => encoded[i % Different]);
    }
}
