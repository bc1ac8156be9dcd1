using Microsoft.ML.Flooding.Images;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Images;

[TestClass]
public class AugmentationTests
{
    private const int Height = 6;
    private const int Width = 8;

    [TestMethod]
    public void None_changes_nothing()
    {
        using var scope = NewDisposeScope();
        var images = Numbered(4);

        Assert.IsTrue(AreEqual(Augmentation.None.Apply(images, new Generator(1)), images));
        Assert.IsNull(Augmentation.None.DrawMixup(images, new Generator(1)));
    }

    [TestMethod]
    public void Every_crop_is_the_padded_image_at_some_place_and_all_places_occur()
    {
        using var scope = NewDisposeScope();
        const int padding = 2;
        var images = Numbered(2000);
        var crops = new Augmentation { CropPadding = padding }.Apply(images, new Generator(1));
        var seen = new HashSet<(int, int)>();
        for (var n = 0; n < 2000; n++)
        {
            var (top, left) = Place(Values(crops[n]));
            seen.Add((top, left));
            CollectionAssert.AreEqual(NaiveCrop(Values(images[n]), top, left), Values(crops[n]));
        }

        Assert.HasCount((2 * padding + 1) * (2 * padding + 1), seen);
    }

    [TestMethod]
    public void Images_are_mirrored_as_often_as_asked()
    {
        using var scope = NewDisposeScope();
        const int count = 10_000;
        var images = Numbered(count);
        var flipped = new Augmentation { FlipProbability = 0.3 }.Apply(images, new Generator(1));
        var isSame = flipped.eq(images).flatten(1).all(1);
        var isMirrored = flipped.eq(images.flip(3)).flatten(1).all(1);

        Assert.IsTrue(isSame.logical_xor(isMirrored).all().item<bool>());
        Assert.AreEqual(0.3, isMirrored.to(ScalarType.Float64).mean().item<double>(), 4 * Math.Sqrt(0.3 * 0.7 / count));
    }

    [TestMethod]
    public void Crop_and_flip_together_are_the_flip_of_a_crop()
    {
        using var scope = NewDisposeScope();
        var images = Numbered(200);
        var result = new Augmentation { CropPadding = 1, FlipProbability = 1 }.Apply(images, new Generator(1));
        for (var n = 0; n < 200; n++)
        {
            var crop = result[n].flip(2);
            var (top, left) = Place(Values(crop));
            CollectionAssert.AreEqual(NaiveCrop(Values(images[n]), top, left), Values(crop));
        }
    }

    [TestMethod]
    public void Erased_pixels_are_a_rectangle_of_the_mean_colour_of_the_papers_size()
    {
        using var scope = NewDisposeScope();
        const int count = 500;
        const int side = 32;
        var images = rand([count, 3, side, side], generator: new Generator(2));
        var erased = new Augmentation { ErasingProbability = 0.5 }.Apply(images, new Generator(1));
        var mask = erased.ne(images).any(1);
        var isErased = mask.flatten(1).any(1);
        Assert.AreEqual(0.5, isErased.to(ScalarType.Float64).mean().item<double>(), 4 * Math.Sqrt(0.25 / count));

        var areas = new List<double>();
        for (var n = 0; n < count; n++)
        {
            if (!isErased[n].item<bool>())
                continue;
            var height = mask[n].any(1).sum().item<long>();
            var width = mask[n].any(0).sum().item<long>();
            Assert.AreEqual(height * width, mask[n].sum().item<long>(), "a full rectangle");
            var mean = images[n].mean([1, 2]);
            Assert.IsTrue(erased[n].masked_select(mask[n]).view(3, -1).allclose(mean.view(3, 1)));
            areas.Add(height * width / (double)(side * side));
        }

        Assert.IsTrue(areas.Min() > 0.01 && areas.Max() < 0.38, $"{areas.Min()} to {areas.Max()}");
        Assert.AreEqual((0.02 + 0.333) / 2, areas.Average(), 0.03);
    }

    [TestMethod]
    public void Colour_jitter_keeps_what_it_does_not_concern()
    {
        using var scope = NewDisposeScope();
        var images = rand([50, 3, 5, 4], generator: new Generator(2)) * 255;

        var factor = new Augmentation { Brightness = 0.4 }.Apply(images, new Generator(1)) / images;
        Assert.IsTrue(factor.flatten(1).std(1).lt(1e-5).all().item<bool>(), "one factor an image");
        Assert.IsTrue(factor.ge(0.5999).logical_and(factor.le(1.4001)).all().item<bool>());
        Assert.IsTrue(factor.flatten(1).mean([1L]).std().item<float>() > 0.1, "another one for every image");

        var contrast = new Augmentation { Contrast = 0.4 }.Apply(images, new Generator(1));
        Assert.IsTrue(Grey(contrast).mean([1, 2]).allclose(Grey(images).mean([1, 2])));

        var saturation = new Augmentation { Saturation = 0.4 }.Apply(images, new Generator(1));
        Assert.IsTrue(Grey(saturation).allclose(Grey(images), atol: 1e-3));
        Assert.IsFalse(saturation.allclose(images));

        var grey = images.narrow(1, 0, 1);
        Assert.IsTrue(AreEqual(new Augmentation { Saturation = 0.4 }.Apply(grey, new Generator(1)), grey));
    }

    [TestMethod]
    public void The_same_generator_gives_the_same_images_and_another_one_others()
    {
        using var scope = NewDisposeScope();
        var images = rand([16, 3, 40, 40], generator: new Generator(2));
        var all = Augmentation.Photo with { MixupAlpha = 0.2 };
        var first = all.Apply(images, new Generator(7));
        _ = rand(1);

        Assert.IsTrue(AreEqual(first, all.Apply(images, new Generator(7))));
        Assert.IsFalse(AreEqual(first, all.Apply(images, new Generator(8))));
    }

    [TestMethod]
    public void Images_stay_channels_last_and_no_tensor_is_left_behind()
    {
        using var scope = NewDisposeScope();
        var images = rand([4, 8, 8, 3]).permute(0, 3, 1, 2);
        using var generator = new Generator(1);
        foreach (var augmentation in new[] { Augmentation.None, Augmentation.Small, Augmentation.Photo with { CropPadding = 2 } })
        {
            var before = LiveTensors.Count();
            using var result = augmentation.Apply(images, generator);

            Assert.AreEqual(before + 1, Tensor.TotalCount);
            CollectionAssert.AreEqual(images.shape, result.shape);
            CollectionAssert.AreEqual(images.stride(), result.stride());
        }
    }

    [TestMethod]
    public void Mixup_mixes_images_and_losses_by_one_share()
    {
        using var scope = NewDisposeScope();
        var images = rand([5, 3, 4, 4]);
        var mixup = new Augmentation { MixupAlpha = 1 }.DrawMixup(images, new Generator(3))!.Value;
        var share = mixup.Share.item<float>();

        CollectionAssert.AreEquivalent(new long[] { 0, 1, 2, 3, 4 }, mixup.Partners.data<long>().ToArray());
        Assert.IsTrue(mixup.MixImages(images).allclose((images * share) + (images[mixup.Partners] * (1 - share))));
        Assert.AreEqual(share, mixup.MixLosses(ones(1), zeros(1)).item<float>(), 1e-6f);
    }

    [TestMethod]
    [DataRow(0.1)]
    [DataRow(1.0)]
    [DataRow(4.0)]
    public void Shares_follow_the_beta_distribution(double alpha)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        var shares = Enumerable.Range(0, 4000).Select(_ =>
        {
            using var draw = NewDisposeScope();
            return (double)Mixup.Draw(2, alpha, CPU, generator).Share.item<float>();
        }).ToArray();
        var variance = 1 / (4 * ((2 * alpha) + 1));

        Assert.IsTrue(shares.All(share => share is >= 0 and <= 1));
        Assert.AreEqual(0.5, shares.Average(), 4 * Math.Sqrt(variance / shares.Length));
        Assert.AreEqual(variance, shares.Average(share => (share - 0.5) * (share - 0.5)), 0.1 * variance);
    }

    [TestMethod]
    public void Settings_out_of_range_are_refused_by_name()
    {
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new Augmentation { FlipProbability = 1.1 }).Message, "FlipProbability");
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new Augmentation { CropPadding = -1 });
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new Augmentation { MixupAlpha = double.NaN });
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new Augmentation { ErasingProbability = double.NaN });
    }

    /// <summary>Images whose pixels are all different, from 1 up.</summary>
    private static Tensor Numbered(int count) =>
        arange(1, Height * Width + 1).to(ScalarType.Float32).view(1, 1, Height, Width).repeat(count, 2, 1, 1);

    private static bool AreEqual(Tensor left, Tensor right) => left.eq(right).all().item<bool>();

    private static Tensor Grey(Tensor x) => (x.select(1, 0) * 0.299) + (x.select(1, 1) * 0.587) + (x.select(1, 2) * 0.114);

    private static float[] Values(Tensor image) => image.contiguous().data<float>().ToArray();

    private static (int Top, int Left) Place(float[] crop)
    {
        var i = Array.FindIndex(crop, value => value > 0);
        var number = (int)crop[i] - 1;
        return ((number / Width) - (i / Width), (number % Width) - (i % Width));
    }

    private static float[] NaiveCrop(float[] image, int top, int left)
    {
        var crop = new float[image.Length];
        for (var c = 0; c < 2; c++)
        {
            for (var y = 0; y < Height; y++)
            {
                for (var x = 0; x < Width; x++)
                {
                    var (sourceY, sourceX) = (y + top, x + left);
                    if (sourceY is >= 0 and < Height && sourceX is >= 0 and < Width)
                        crop[(((c * Height) + y) * Width) + x] = image[(((c * Height) + sourceY) * Width) + sourceX];
                }
            }
        }

        return crop;
    }
}
