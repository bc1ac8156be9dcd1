using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Tests.Pipeline;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Networks;

[TestClass]
public class CustomArchitectureTests
{
    [TestMethod]
    public void Factory_is_found_by_name_and_initialised_by_the_seed()
    {
        using var scope = NewDisposeScope();
        var architecture = Architecture.FromFactory("tiny", Tiny);
        Assert.AreEqual("factory:tiny", architecture.Name);
        Assert.AreEqual(architecture, Architecture.Parse("factory:tiny"));
        using var first = ArchitectureTests.Create(architecture, new(8, 8, 3), seed: 5, classes: 4);
        manual_seed(123);
        var expected = rand(1);
        manual_seed(123);
        using var second = ArchitectureTests.Create(Architecture.Parse("factory:tiny"), new(8, 8, 3), seed: 5, classes: 4);
        CollectionAssert.AreEqual(
            new[] { "module.0.weight", "module.0.bias", "module.3.weight", "module.3.bias" },
            first.State().Select(entry => entry.Name).ToList());
        foreach (var ((_, a), (name, b)) in first.State().Zip(second.State()))
            Assert.IsTrue(a.Equals(b), name);
        var x = randn(2, 3, 8, 8);
        Assert.IsTrue(first.forward(x).Equals(second.forward(x)));
        Assert.IsFalse(first.IsInterpretable);
        StringAssert.Contains(
            Assert.ThrowsExactly<NotSupportedException>(() => Complexity.Of(first, new(8, 8, 3))).Message, "factory:tiny");
    }

    [TestMethod]
    public void Factory_leaves_the_global_generator_after_initialisation_as_it_was()
    {
        using var scope = NewDisposeScope();
        using var network = ArchitectureTests.Create(Architecture.FromFactory("tiny", Tiny), new(8, 8, 3), classes: 4);
        using var generator = new Generator(1);
        manual_seed(7);
        var expected = rand(3);
        manual_seed(7);
        network.Initialize(generator);
        Assert.IsTrue(expected.Equals(rand(3)));
    }

    /// <summary>libtorch has no gradient for it, and TorchSharp's autograd.grad would end the process.</summary>
    [TestMethod]
    public void Parameter_that_a_module_does_not_use_stays_as_it_is()
    {
        var context = new MLContext(seed: 1);
        var architecture = Architecture.FromFactory("unused", (classes, _) => new Unused(classes));
        using var model = ShortRun.Fit(context, FashionMnistData.Train(context, 50), o => o.Architecture = architecture);
        Assert.HasCount(2, model.History.Epochs);
    }

    [TestMethod]
    public void Absent_factory_is_told_with_the_remedy()
    {
        var e = Assert.ThrowsExactly<FormatException>(() => Architecture.Parse("factory:absent"));
        StringAssert.Contains(e.Message, "FromFactory(\"absent\"");
    }

    [TestMethod]
    public void Factory_of_the_wrong_number_of_logits_is_refused()
    {
        var architecture = Architecture.FromFactory("wrong", (classes, channels) => Tiny(classes + 1, channels));
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => ArchitectureTests.Create(architecture, new(8, 8, 3), classes: 4)).Message,
            "[1, 5]");
    }

    [TestMethod]
    public void Script_trains_and_is_read_back_from_its_content()
    {
        using var scope = NewDisposeScope();
        var architecture = Load(TorchScriptArchive.Linear(12, 3));
        using var network = ArchitectureTests.Create(architecture, new(2, 2, 3), classes: 3);
        CollectionAssert.AreEquivalent(new[] { "weight", "bias", "scale" }, network.State().Select(entry => entry.Name).ToList());
        Assert.AreEqual(2, network.get_buffer("scale")!.item<float>());
        var x = randn(5, 3, 2, 2);
        var before = network.forward(x);
        var optimizer = optim.SGD(network.parameters(), 0.1);
        network.forward(x).square().sum().backward();
        optimizer.step();
        Assert.IsFalse(before.Equals(network.forward(x)));

        var again = Architecture.Load(architecture.Name, architecture.Content);
        Assert.AreEqual(architecture, again);
        using var copy = ArchitectureTests.Create(again, new(2, 2, 3), classes: 3);
        Assert.IsTrue(before.allclose(copy.forward(x)));
        copy.LoadState(network.State().ToDictionary(entry => entry.Name, entry => entry.Tensor));
        Assert.IsTrue(network.forward(x).allclose(copy.forward(x)));
        copy.to(ScalarType.BFloat16);
        Assert.AreEqual(ScalarType.BFloat16, copy.State().First().Tensor.dtype);
        Assert.AreEqual(ScalarType.BFloat16, copy.forward(x.to(ScalarType.BFloat16)).dtype);
        copy.eval();
        Assert.IsFalse(copy.training);
    }

    [TestMethod]
    public void Script_for_other_classes_or_images_is_refused()
    {
        var architecture = Load(TorchScriptArchive.Linear(12, 3));
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => ArchitectureTests.Create(architecture, new(2, 2, 3), classes: 4)).Message,
            "[1, 3]");
        Assert.ThrowsExactly<FormatException>(() => Architecture.Parse(architecture.Name));
        Assert.ThrowsExactly<InvalidDataException>(() => Architecture.Load(architecture.Name, null));
        Assert.ThrowsExactly<InvalidDataException>(() => Architecture.Load(architecture.Name, [1, 2, 3]));
        Assert.ThrowsExactly<InvalidDataException>(() => Load([1, 2, 3]));
    }

    private static Architecture Load(byte[] script)
    {
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, script);
            return Architecture.FromTorchScript(path, inputSize: 2);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private sealed class Unused : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> _used;
        private readonly nn.Module<Tensor, Tensor> _unused;

        public Unused(int classes) : base(nameof(Unused))
        {
            (_used, _unused) = (nn.Linear(784, classes), nn.Linear(3, 3));
            register_module("used", _used);
            register_module("unused", _unused);
        }

        public override Tensor forward(Tensor x) => _used.call(x.flatten(1));

        protected override void RegisterComponents()
        {
        }
    }

    private static Sequential Tiny(int classes, int channels) =>
        nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, classes));
}
