using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Scoring;

[TestClass]
public sealed class OpaqueNetworkTests
{
    [TestMethod]
    [DataRow(Precision.Float32)]
    [DataRow(Precision.BFloat16)]
    public void A_network_made_by_a_factory_is_scored_as_it_is(Precision precision)
    {
        var shape = new ImageShape(8, 8, 3);
        var network = new FactoryNetwork(
            "opaque", (classes, channels) => nn.Sequential(nn.Flatten(), nn.Linear(channels * 64, classes)), shape, 5);
        using var classifier = RandomModel.Classify(
            network, RandomModel.Describe(Architecture.Mlp, shape) with { ScoringPrecision = precision });
        Assert.AreEqual(ScoringEngine.LibTorch, classifier.Engine);
        using var scope = NewDisposeScope();
        using var pixels = randint(0, 255, [3, 8, 8, 3], dtype: ScalarType.Byte);
        var scores = new float[15];

        classifier.Score(pixels, scores);

        using var _ = no_grad();
        var expected = network.forward(((pixels.to(ScalarType.Float32) - 120) / 60).permute(0, 3, 1, 2)).softmax(1).data<float>().ToArray();
        OneRowScorer.AssertNear(expected, scores);
    }
}
