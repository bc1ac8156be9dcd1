using Microsoft.ML.Flooding.Images;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Images;

[TestClass]
public sealed class NormalizationTests
{
    [TestMethod]
    [DataRow(120f, 60f, 1 / 60f)]
    [DataRow(1e-5f, 4e-6f, 1 / 4e-6f)]
    [DataRow(0f, 1e-9f, 1e9f)]
    [DataRow(0f, 0f, 1000f)]
    [DataRow(255f, 0f, 1000f)]
    [DataRow(1000f, 1e-5f, 1000f)]
    [DataRow(1e6f, 0.1f, 10f)]
    [DataRow(1e-5f, 1e-13f, 1000f)]
    [DataRow(0f, 1e-40f, 1000f)]
    public void Channels_are_scaled_by_their_deviation_whatever_their_unit_and_constant_ones_alike(
        float mean, float deviation, float scale) =>
        Assert.AreEqual(scale, new Normalization([mean], [deviation]).Scale[0], scale * 1e-6f);

    // Numbers of values that fill whole vectors, that leave a remainder, and that fill less than one vector.
    [TestMethod]
    [DataRow(1, 1, 1, 3)]
    [DataRow(1, 5, 5, 1)]
    [DataRow(2, 28, 28, 1)]
    [DataRow(3, 7, 9, 3)]
    [DataRow(4, 32, 32, 3)]
    public void Bytes_become_the_floats_that_libtorch_makes_of_them(int count, int height, int width, int channels)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var pixels = randint(0, 256, [count, height, width, channels], dtype: ScalarType.Byte, generator: generator);
        var (mean, deviation) = (tensor(new[] { 120.5f, 7f, 255f }[..channels]), tensor(new[] { 60.1f, 0f, 3f }[..channels]));
        using var normalizer = new Normalization([.. mean.data<float>()], [.. deviation.data<float>()]).On(CPU);

        var images = normalizer.Apply(pixels);

        var expected = ((pixels.to(ScalarType.Float32) - mean) * deviation.clamp(min: 1e-3f).reciprocal()).permute(0, 3, 1, 2);
        CollectionAssert.AreEqual(expected.contiguous().data<float>().ToArray(), images.contiguous().data<float>().ToArray());
        CollectionAssert.AreEqual(expected.stride(), images.stride());
    }
}
