using System.Text.Json;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Scoring;
using Microsoft.ML.Flooding.Tests.Networks;
using Microsoft.ML.Flooding.Tests.Scoring;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Persistence;

[TestClass]
public class OnnxModelTests
{
    private static readonly string[] Labels = ["cat", "dog", "\"quoted\""];

    public static IEnumerable<string> Names => ArchitectureTests.SmallNames;

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void Scores_are_those_of_the_network(string name)
    {
        foreach (var shape in new[] { new ImageShape(28, 28, 1), new ImageShape(66, 70, 3) })
        {
            using var scope = NewDisposeScope();
            using var _ = no_grad();
            // With statistics that fit the weights. Otherwise the logits, and rounding with them, grow with the depth.
            using var network = RandomModel.CreateNetwork(Architecture.Parse(name), shape, classes: 3);
            using var generator = new Generator(2);
            var normalization = new Normalization(
                [.. Enumerable.Range(0, shape.Channels).Select(c => 100f + c)],
                [.. Enumerable.Range(0, shape.Channels).Select(c => 50f + c)]);
            using var file = new MemoryStream();
            var description = Describe(name, shape) with { Normalization = normalization, Temperature = 1.7f };
            OnnxModel.Save(file, network, description, includeNormalization: true);
            using var session = new InferenceSession(file.ToArray());
            Assert.AreEqual(name, session.ModelMetadata.CustomMetadataMap["architecture"]);
            CollectionAssert.AreEqual(Labels, JsonSerializer.Deserialize<string[]>(session.ModelMetadata.CustomMetadataMap["labels"]));
            network.eval();
            using var normalizer = normalization.On(CPU);
            foreach (var samples in new[] { 1, 3 })
            {
                var pixels = randint(0, 256, [samples, shape.Height, shape.Width, shape.Channels], ScalarType.Byte, generator: generator);
                var expected = (network.forward(normalizer.Apply(pixels)) / 1.7f).softmax(1);
                var input = new DenseTensor<float>(
                    pixels.permute(0, 3, 1, 2).contiguous().to(ScalarType.Float32).data<float>().ToArray(),
                    [samples, shape.Channels, shape.Height, shape.Width]);
                using var results = session.Run([NamedOnnxValue.CreateFromTensor("image", input)]);
                var scores = results.Single(value => value.Name == "probabilities").AsTensor<float>();
                CollectionAssert.AreEqual(new[] { samples, 3 }, scores.Dimensions.ToArray());
                foreach (var (a, b) in expected.data<float>().ToArray().Zip(scores))
                    Assert.AreEqual(a, b, 1e-5f);
            }
        }
    }

    [TestMethod]
    public void Networks_of_unknown_layers_are_refused()
    {
        var architecture = Architecture.FromFactory("onnx", (classes, channels) =>
            nn.Sequential(nn.Flatten(), nn.Linear(16 * channels, classes)));
        using var network = ArchitectureTests.Create(architecture, new(4, 4, 1), classes: 3);
        StringAssert.Contains(
            Assert.ThrowsExactly<NotSupportedException>(
                () => OnnxModel.Save(new MemoryStream(), network, Describe("x", new(4, 4, 1)), true)).Message,
            "factory");
    }

    private static ModelDescription Describe(string name, ImageShape shape) =>
        RandomModel.Describe(Architecture.Mlp, shape) with
        {
            Architecture = name,
            Labels = new LabelKeys(nameof(UInt32), 3, "Text", Labels),
        };
}
