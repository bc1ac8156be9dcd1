using Microsoft.ML.Flooding.Images;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Images;

[TestClass]
public sealed class MemoryImageSetTests
{
    /// <summary>More images than are gathered at once. Their number is not a multiple of the batch size.</summary>
    [TestMethod]
    [DataRow(50)]
    [DataRow(64)]
    [DataRow(400)]
    public void Batches_follow_the_order_whatever_is_gathered_together(int batchSize)
    {
        const int Count = 401;
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var shape = new ImageShape(64, 64, 3);
        var pixels = randint(0, 256, [Count, shape.Height, shape.Width, shape.Channels], dtype: ScalarType.Byte, generator: generator);
        var labels = randint(0, 10, [Count], dtype: ScalarType.Int64, generator: generator);
        using var set = new MemoryImageSet(
            shape, pixels.alias().DetachFromDisposeScope(), labels.alias().DetachFromDisposeScope(), arange(Count).DetachFromDisposeScope(),
            zeros(Count, ScalarType.Int64).DetachFromDisposeScope());
        var order = randperm(Count, generator: generator);

        using var batches = set.Read(order, batchSize, CPU);
        var read = new List<ImageBatch>();
        while (batches.MoveNext())
            read.Add(batches.Current);

        Assert.AreEqual((Count + batchSize - 1) / batchSize, read.Count);
        Assert.IsTrue(cat([.. read.Select(b => b.Rows)]).equal(order).all().item<bool>());
        Assert.IsTrue(cat([.. read.Select(b => b.Labels)]).equal(labels.index_select(0, order)).all().item<bool>());
        Assert.IsTrue(cat([.. read.Select(b => b.Pixels)]).equal(pixels.index_select(0, order)).all().item<bool>());
    }
}
