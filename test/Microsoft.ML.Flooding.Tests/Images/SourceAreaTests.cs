using Microsoft.ML.Flooding.Images;
using SkiaSharp;

namespace Microsoft.ML.Flooding.Tests.Images;

[TestClass]
public sealed class SourceAreaTests
{
    [TestMethod]
    public void Without_a_crop_the_whole_image_is_taken() =>
        Assert.AreEqual(new SourceArea(0, 0, 640, 480), SourceArea.Of(640, 480, null, 224, 224));

    /// <summary>torchvision scales the shorter side to 256 and cuts 224 from the middle: 420 of 480.</summary>
    [TestMethod]
    public void Crop_is_torchvisions() =>
        Assert.AreEqual(new SourceArea(110, 30, 420, 420), SourceArea.Of(640, 480, 224.0 / 256, 224, 224));

    [TestMethod]
    public void Crop_has_the_proportions_of_the_target() =>
        Assert.AreEqual(new SourceArea(0, 140, 400, 200), SourceArea.Of(400, 480, 1, 100, 50));

    [TestMethod]
    public void Something_is_left_of_a_thin_image() =>
        Assert.AreEqual(new SourceArea(9999, 0, 1, 1), SourceArea.Of(20_000, 1, 0.875, 224, 224));

    /// <summary>An image of colored bands: pixels outside the area have no effect.</summary>
    [TestMethod]
    [DataRow(SKEncodedImageFormat.Png, 96, 32)]
    [DataRow(SKEncodedImageFormat.Png, 32, 96)]
    [DataRow(SKEncodedImageFormat.Jpeg, 768, 256)]
    public void Decoding_cuts_the_middle(SKEncodedImageFormat format, int width, int height)
    {
        var side = Math.Min(width, height);
        var rgb = new byte[width * height * 3];
        for (var y = 0; y < height; y++)
            for (var x = 0; x < width; x++)
                rgb[(((y * width) + x) * 3) + (Math.Max(x, y) / side)] = 255;
        var file = TestImages.Encode(rgb, width, height, format);
        var pixels = new byte[16 * 16 * 3];
        var shape = new ImageShape(16, 16, 3);
        Assert.IsTrue(EncodedImage.TryDecode(file, shape, 1, long.MaxValue, pixels, out var problem), problem);
        foreach (var pixel in pixels.Chunk(3).Skip(17 * 4).Take(8))
            Assert.IsTrue(pixel[1] > 200 && pixel[0] < 60 && pixel[2] < 60, string.Join(' ', pixel));
        Assert.IsTrue(EncodedImage.TryDecode(file, shape, null, long.MaxValue, pixels, out problem), problem);
        Assert.IsGreaterThan(150, pixels[0]);
        Assert.IsGreaterThan(150, pixels[^1]);
    }
}
