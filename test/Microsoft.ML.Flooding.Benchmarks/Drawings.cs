using SkiaSharp;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>JPEG files of drawn images. Like photos, and unlike noise, they have edges and even areas.</summary>
internal static class Drawings
{
    private const int Different = 100;
    private const int DifferentPhotos = 4;

    // Gives a photo of twelve megapixels about five megabytes, as a phone does.
    private const byte Grain = 40;

    /// <summary>Returns encoded images that repeat a hundred different ones.</summary>
    public static IEnumerable<byte[]> Jpeg(int count, int side) => Jpeg(count, side, side, Different, grain: 0);

    /// <summary>Returns encoded images of 4032 x 3024 pixels, with the grain of a camera, that repeat a few different ones.</summary>
    public static IEnumerable<byte[]> Photos(int count) => Jpeg(count, 4032, 3024, DifferentPhotos, Grain);

    private static IEnumerable<byte[]> Jpeg(int count, int width, int height, int different, byte grain)
    {
        var random = new Random(1);
        using var bitmap = new SKBitmap(width, height);
        using var canvas = new SKCanvas(bitmap);
        using var paint = new SKPaint();
        var encoded = new List<byte[]>();
        foreach (var _ in Enumerable.Range(0, different))
        {
            canvas.Clear(new SKColor((uint)random.Next() | 0xFF000000));
            for (var shape = 0; shape < 12; shape++)
            {
                paint.Color = new SKColor((uint)random.Next() | 0xFF000000);
                canvas.DrawCircle(random.Next(width), random.Next(height), random.Next(2, height / 3), paint);
            }
            if (grain > 0)
            {
                using var noise = SKShader.CreatePerlinNoiseFractalNoise(0.4f, 0.4f, numOctaves: 2, random.Next());
                using var grainy = new SKPaint { Shader = noise, Color = new SKColor(0, 0, 0, grain) };
                canvas.DrawPaint(grainy);
            }
            using var data = bitmap.Encode(SKEncodedImageFormat.Jpeg, 90);
            encoded.Add(data.ToArray());
        }
        return Enumerable.Range(0, count).Select(i => encoded[i % different]);
    }
}
