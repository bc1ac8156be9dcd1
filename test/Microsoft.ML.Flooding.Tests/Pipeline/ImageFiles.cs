using Microsoft.ML.Flooding.Tests.Images;
using SkiaSharp;

namespace Microsoft.ML.Flooding.Tests.Pipeline;

/// <summary>Images of Fashion-MNIST as files in a temporary folder. Disposing deletes the folder.</summary>
internal sealed class ImageFiles : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("flooding-");

    /// <param name="count">Files.</param>
    /// <param name="format">PNG or JPEG.</param>
    /// <param name="isTinted">Whether the images are colored.</param>
    /// <param name="alpha">Of every pixel.</param>
    /// <param name="marginOf">The number of black pixels around the image with this index, so that sizes can differ.</param>
    public ImageFiles(
        int count, SKEncodedImageFormat format = SKEncodedImageFormat.Png, bool isTinted = false, byte alpha = 255,
        Func<int, int>? marginOf = null)
    {
        Rows = [.. FashionMnistData.Rows("train", count).Select(row => new Row { ImagePath = $"{row.Id}.{format}", Class = row.Class })];
        foreach (var (row, image) in Rows.Zip(FashionMnistData.Rows("train", count)))
        {
            var side = 28 + 2 * (marginOf?.Invoke(image.Id) ?? 0);
            File.WriteAllBytes(PathOf(row), TestImages.Encode(Rgb(image.Features, side, isTinted), side, side, format, alpha: alpha));
        }
    }

    public IReadOnlyList<Row> Rows { get; }

    public string Folder => _folder.FullName;

    public string PathOf(Row row) => Path.Combine(Folder, row.ImagePath);

    public void Dispose() => _folder.Delete(recursive: true);

    private static byte[] Rgb(float[] grey, int side, bool isTinted)
    {
        var margin = (side - 28) / 2;
        var rgb = new byte[side * side * 3];
        for (var i = 0; i < grey.Length; i++)
        {
            var target = ((i / 28 + margin) * side + i % 28 + margin) * 3;
            (rgb[target], rgb[target + 1], rgb[target + 2]) = isTinted
                ? ((byte)grey[i], (byte)(grey[i] / 2), (byte)(255 - grey[i]))
                : ((byte)grey[i], (byte)grey[i], (byte)grey[i]);
        }
        return rgb;
    }

    public sealed class Row
    {
        public string ImagePath { get; set; } = "";

        public string Class { get; set; } = "";
    }
}
