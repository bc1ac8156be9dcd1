using Microsoft.ML.Flooding.Images;
using static Microsoft.ML.Flooding.Tests.Images.TestImages;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Images;

[TestClass]
public sealed class FileImageSetTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    public void A_set_four_times_the_limit_gives_the_batches_of_the_one_in_memory()
    {
        var data = EncodedView(Enumerable.Range(0, 203).Select(i => Png(Rgb(12, 10, i), 12, 10)), classes: 7);
        using var expected = ImageSetTests.Load(data);
        using var actual = Load(data, 203 * 360 / 4);

        Assert.IsInstanceOfType<FileImageSet>(actual);
        AssertSameBatches(expected, actual);
    }

    [TestMethod]
    public void Floats_are_widened_in_the_file_too()
    {
        var rows = Enumerable.Range(0, 90).Select(i => new float[] { i, 1, 2, 3 }).ToArray();
        rows[71][3] = 0.25f;
        var data = FloatView(rows);
        using var expected = ImageSetTests.Load(data);
        using var actual = Load(data, 100);

        Assert.AreEqual(ScalarType.Float32, actual.PixelType);
        AssertSameBatches(expected, actual);
    }

    [TestMethod]
    public void A_pass_that_is_left_early_leaves_no_tensor_and_the_set_no_file()
    {
        var before = LiveTensors.Count();
        using (NewDisposeScope())
        using (var set = Load(ByteView([.. Enumerable.Range(0, 100).Select(i => new byte[] { (byte)i, 1, 2, 3 })]), 10))
        using (var batches = set.Read(arange(100, ScalarType.Int64), 3, CPU))
        {
            Assert.IsTrue(batches.MoveNext());
        }

        Assert.AreEqual(before, Tensor.TotalCount);
        Assert.IsEmpty(Directory.GetFiles(_folder));
    }

    [TestMethod]
    public void A_folder_that_is_not_there_is_an_error_that_says_what_to_do()
    {
        var options = new ImageSetOptions { MaxCacheBytes = 1, CacheFolder = Path.Combine(_folder, "missing") };
        var error = Assert.ThrowsExactly<IOException>(() => ImageSetTests.Load(ByteView([[1, 2, 3, 4]]), options));

        StringAssert.Contains(error.Message, "MaxCacheBytes");
    }

    internal static void AssertSameBatches(ImageSet expected, ImageSet actual)
    {
        using var scope = NewDisposeScope();
        Assert.AreEqual(expected.Count, actual.Count);
        Assert.IsTrue(expected.Labels.eq(actual.Labels).all().item<bool>());
        var order = randperm(expected.Count, ScalarType.Int64).narrow(0, 0, expected.Count - 5);
        using var left = expected.Read(order, 16, CPU);
        using var right = actual.Read(order, 16, CPU);
        while (left.MoveNext())
        {
            Assert.IsTrue(right.MoveNext());
            Assert.AreEqual(left.Current.Pixels.dtype, right.Current.Pixels.dtype);
            Assert.IsTrue(left.Current.Pixels.eq(right.Current.Pixels).all().item<bool>());
            Assert.IsTrue(left.Current.Labels.eq(right.Current.Labels).all().item<bool>());
            Assert.IsTrue(left.Current.Rows.eq(right.Current.Rows).all().item<bool>());
        }

        Assert.IsFalse(right.MoveNext());
        var (mean, std) = expected.ChannelStatistics(order);
        var (fileMean, fileStd) = actual.ChannelStatistics(order);
        Assert.IsTrue(mean.eq(fileMean).all().item<bool>() && std.eq(fileStd).all().item<bool>());
    }

    private ImageSet Load(IDataView data, long maxCacheBytes) =>
        ImageSetTests.Load(data, new ImageSetOptions { MaxCacheBytes = maxCacheBytes, CacheFolder = _folder });
}
