using Microsoft.ML.Flooding.Images;
using static Microsoft.ML.Flooding.Tests.Images.TestImages;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Images;

[TestClass]
public class StreamedImageSetTests
{
    [TestMethod]
    public void Rows_come_in_the_order_asked_for_within_blocks_and_each_of_them_once()
    {
        const int count = 103;
        var data = ByteView([.. Enumerable.Range(0, count).Select(i => new byte[] { (byte)i, 1, 2, 3 })], classes: 10);
        using var set = Load(data, 40 * 4);
        Assert.IsInstanceOfType<StreamedImageSet>(set);
        Assert.AreEqual(count, set.Count);

        using var scope = NewDisposeScope();
        long[] order = [.. randperm(count, ScalarType.Int64).data<long>().Take(90)];
        var rows = new List<long>();
        using var batches = set.Read(tensor(order), 16, CPU);
        while (batches.MoveNext())
        {
            var batch = batches.Current;
            rows.AddRange(batch.Rows.data<long>());
            CollectionAssert.AreEqual(
                batch.Rows.data<long>().ToArray(),
                batch.Pixels.select(1, 0).select(1, 0).flatten().to(ScalarType.Int64).data<long>().ToArray());
            CollectionAssert.AreEqual(batch.Rows.data<long>().Select(row => row % 10).ToArray(), batch.Labels.data<long>().ToArray());
        }

        // Twenty images fit into half of the memory.
        var expected = order.Order().Chunk(20).SelectMany(block => block.OrderBy(row => Array.IndexOf(order, row)));
        CollectionAssert.AreEqual(expected.ToArray(), rows);
    }

    /// <summary>The same options give the same order, however much memory is free.</summary>
    [TestMethod]
    public void Without_a_limit_a_block_has_half_a_gibibyte()
    {
        const int side = 4096;
        var rows = Enumerable.Repeat(new byte[side * side], 65).ToArray();
        var messages = new List<string>();
        var context = new MLContext();
        context.Log += (_, e) => messages.Add(e.RawMessage);
        var data = ByteView(rows);
        var column = ImageColumn.Create(data.Schema["Features"], null, null, data);
        using var set = ImageSet.Load(context, data, "Features", "Label", column, new ImageSetOptions { UseDisk = false }, () => { });

        Assert.AreEqual(32, set.BlockLength);
        Assert.HasCount(1, messages.Where(m => m.Contains("shuffles them within blocks of 32", StringComparison.Ordinal)).ToArray());
    }

    [TestMethod]
    public void Skipped_rows_stay_skipped()
    {
        var images = Enumerable.Range(0, 20).Select(i => Rgb(5, 4, i)).ToArray();
        var files = images.Select(rgb => Png(rgb, 5, 4)).ToArray();
        files[3] = [];
        files[11] = [1];
        using var set = ImageSetTests.Load(
            EncodedView(files), new ImageSetOptions { OnInvalidImage = OnInvalidImage.Skip, UseDisk = false, MaxCacheBytes = 240 });

        Assert.AreEqual(18, set.Count);
        CollectionAssert.AreEqual(
            images.Where((_, i) => i is not 3 and not 11).SelectMany(rgb => rgb).ToArray(), ImageSetTests.Pixels(set));
    }

    [TestMethod]
    [DataRow(2f)]
    [DataRow(0.5f)]
    public void Floats_have_the_type_they_have_in_memory(float value)
    {
        var rows = Enumerable.Range(0, 30).Select(i => new[] { i, 1, value, 3 }).ToArray();
        using var expected = ImageSetTests.Load(FloatView(rows));
        using var actual = Load(FloatView(rows), 64);

        Assert.IsTrue(ImageSetTests.Read(expected).eq(ImageSetTests.Read(actual)).all().item<bool>());
        Assert.AreEqual(expected.PixelType, actual.PixelType);
    }

    [TestMethod]
    public void A_pass_that_is_left_early_leaves_no_tensor_behind()
    {
        var before = LiveTensors.Count();
        using (NewDisposeScope())
        using (var set = Load(ByteView([.. Enumerable.Range(0, 100).Select(i => new byte[] { (byte)i, 1, 2, 3 })]), 40))
        using (var batches = set.Read(arange(100, ScalarType.Int64), 3, CPU))
        {
            Assert.IsTrue(batches.MoveNext());
        }

        Assert.AreEqual(before, Tensor.TotalCount);
    }

    private static ImageSet Load(IDataView data, long maxCacheBytes) =>
        ImageSetTests.Load(data, new ImageSetOptions { MaxCacheBytes = maxCacheBytes, UseDisk = false });
}
