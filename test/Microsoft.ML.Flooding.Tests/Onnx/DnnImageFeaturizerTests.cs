using Microsoft.ML.Flooding.Networks;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Onnx;

/// <summary>The ResNet-18 of ML.NET's package, which this project references.</summary>
[TestClass]
public sealed class DnnImageFeaturizerTests
{
    [TestMethod]
    public void Features_are_those_of_the_packages_two_files()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var generator = new Generator(1);
        var architecture = Architecture.FromDnnImageFeaturizerResNet18();
        var preparation = architecture.Preprocessing!;
        Assert.AreEqual((224, 224, 0f, 1f / 255), (preparation.Height, preparation.Width, preparation.Mean[0], preparation.Deviation[0]));
        using var network = architecture.Create(new(224, 224, 3), 5, generator);
        network.eval();
        // The stem, blocks of 2, 2, 2 and 3 with two each, and three shortcuts.
        Assert.AreEqual(22, network.modules().Count(module => module is TorchSharp.Modules.Conv2d));
        var images = randint(0, 256, [2, 3, 224, 224], ScalarType.Float32, generator: generator);
        var features = network.Features(TensorOperators.Instance, images.clone());
        var files = DnnImageFeaturizer.ResNet18(AppContext.BaseDirectory);
        for (var i = 0; i < 2; i++)
        {
            var prepared = OnnxCheck.Runtime(File.ReadAllBytes(files.Preprocessing), images[i..(i + 1)]);
            OnnxCheck.AssertNear(
                OnnxCheck.Runtime(File.ReadAllBytes(files.Network), tensor(prepared).reshape(1, 3, 224, 224)), features[i], $"image {i}");
        }
    }

    [TestMethod]
    public void Absent_package_is_named()
    {
        var e = Assert.ThrowsExactly<FileNotFoundException>(() => DnnImageFeaturizer.ResNet18(Path.GetTempPath()));
        StringAssert.Contains(e.Message, "dotnet add package Microsoft.ML.DnnImageFeaturizer.ResNet18");
    }
}
