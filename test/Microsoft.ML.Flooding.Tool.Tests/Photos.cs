using System.Globalization;
using System.IO.Compression;
using SkiaSharp;

namespace Mlflood.Tests;

/// <summary>Folders of images, made from Fashion-MNIST: a subfolder of .png files for each of four classes.</summary>
internal static class Photos
{
    public static readonly IReadOnlyList<string> Classes = ["dress", "pullover", "trouser", "tshirt"];

    // In the order of Fashion-MNIST's labels.
    private static readonly string[] Names = ["tshirt", "trouser", "pullover", "dress"];

    /// <summary>Writes images.</summary>
    /// <param name="folder">The folder, created if it does not exist.</param>
    /// <param name="part">train or t10k.</param>
    /// <param name="count">The images of each class.</param>
    public static void Write(string folder, string part, int count)
    {
        var pixels = Read($"{part}-images-idx3-ubyte.gz")[16..];
        var labels = Read($"{part}-labels-idx1-ubyte.gz")[8..];
        var written = new int[Names.Length];
        for (var i = 0; written.Min() < count; i++)
        {
            if (labels[i] >= Names.Length || written[labels[i]] == count)
                continue;
            var place = Directory.CreateDirectory(Path.Combine(folder, Names[labels[i]])).FullName;
            var name = written[labels[i]]++.ToString("000", CultureInfo.InvariantCulture);
            File.WriteAllBytes(Path.Combine(place, name + ".png"), Png(pixels[(i * 784)..((i + 1) * 784)]));
        }
    }

    private static byte[] Png(byte[] pixels)
    {
        using var bitmap = new SKBitmap(28, 28, SKColorType.Gray8, SKAlphaType.Opaque);
        System.Runtime.InteropServices.Marshal.Copy(pixels, 0, bitmap.GetPixels(), pixels.Length);
        using var data = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        return data.ToArray();
    }

    private static byte[] Read(string name)
    {
        using var gzip = new GZipStream(
            File.OpenRead(Path.Combine(AppContext.BaseDirectory, "fashion-mnist", name)), CompressionMode.Decompress);
        using var content = new MemoryStream();
        gzip.CopyTo(content);
        return content.ToArray();
    }
}
