using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Scoring;
using Microsoft.ML.Flooding.Tests.Networks;
using Microsoft.ML.Flooding.Tests.Scoring;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Onnx;

/// <summary>Whole networks from ONNX files.</summary>
[TestClass]
public sealed class OnnxNetworkTests
{
    public static IEnumerable<string> Names => ArchitectureTests.SmallNames;

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void Own_exports_come_back(string name)
    {
        var shape = new ImageShape(66, 70, 3);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var generator = new Generator(2);
        using var original = RandomModel.CreateNetwork(Architecture.Parse(name), shape);
        original.eval();
        using var file = new MemoryStream();
        OnnxModel.Save(file, original, RandomModel.Describe(Architecture.Mlp, shape) with { Temperature = 1.5f },
            includeNormalization: true);
        var architecture = OnnxCheck.Read(file.ToArray());
        Assert.AreEqual(70, architecture.Preprocessing!.Width);
        using var network = architecture.Create(shape, RandomModel.Classes, generator);
        network.eval();
        var images = randint(0, 256, [2, 3, 66, 70], ScalarType.Float32, generator: generator);
        OnnxCheck.AssertNear(OnnxCheck.Runtime(file.ToArray(), images), network.forward(images.clone()).softmax(1), "read back");
        // No layer is lost, though batch norm is one with the layer before it.
        Assert.AreEqual(original.modules().Count(m => m is TorchSharp.Modules.Conv2d),
            network.modules().Count(m => m is TorchSharp.Modules.Conv2d));
    }

    [TestMethod]
    [DataRow("light_resnet50")]
    [DataRow("light_squeezenet")]
    public void Networks_of_the_zoo_give_what_ONNX_Runtime_gives(string name)
    {
        var file = LightGraph.Fill(Path.Combine(Fixtures.Onnx, name + ".onnx"));
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var generator = new Generator(2);
        var shape = new ImageShape(224, 224, 3);
        using var network = OnnxCheck.Read(file).Create(shape, 1000, generator);
        network.eval();
        var images = randn([2, 3, 224, 224], generator: generator);
        var actual = network.forward(images.clone()).softmax(1);
        for (var i = 0; i < 2; i++)
            OnnxCheck.AssertNear(OnnxCheck.Runtime(file, images[i..(i + 1)]), actual[i], name);
        var decay = network.named_parameters().Select(p => p.name).Select(n => n.Split('.')).Where(n => n[0] == "blocks").Select(n =>
            n[1]).Distinct().Count();
        if (name == "light_resnet50")
            Assert.AreEqual(17, decay, "The stem and 16 blocks.");
    }
}
