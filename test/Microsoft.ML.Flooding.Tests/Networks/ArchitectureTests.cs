using System.Reflection;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Networks;

[TestClass]
public class ArchitectureTests
{
    public static IEnumerable<string> Names => Architecture.All.Select(architecture => architecture.Name);

    /// <summary>One or two of each kind, small enough to keep the tests quick.</summary>
    public static IEnumerable<string> SmallNames => Architecture.All
        .Except([Architecture.Auto, Architecture.ResNet34, Architecture.ResNet101, Architecture.ViTSmall])
        .Select(architecture => Small(architecture).Name);

    [TestMethod]
    [DynamicData(nameof(Names))]
    [DataRow("resnet18-width8")]
    [DataRow("resnet50-width4-imagenet")]
    [DataRow("resnet18-small")]
    [DataRow("convnet-width16")]
    [DataRow("mlp-100-50")]
    [DataRow("mlp-linear")]
    public void Name_is_read_back(string name)
    {
        Assert.AreEqual(name, Architecture.Parse(name).Name);
        Assert.AreEqual(Architecture.Parse(name), Architecture.Parse(name));
    }

    [TestMethod]
    public void Every_public_architecture_is_in_the_list_of_families()
    {
        var properties = typeof(Architecture).GetProperties(BindingFlags.Public | BindingFlags.Static);
        CollectionAssert.AreEquivalent(
            properties.Select(property => (Architecture)property.GetValue(null)!).ToList(), Architecture.All.ToList(),
            "An architecture that Family.All lacks cannot be loaded from a model file: add its family there.");
    }

    [TestMethod]
    [DataRow("")]
    [DataRow("resnet")]
    [DataRow("resnet18-0.5")]
    [DataRow("resnet18-width0")]
    [DataRow("resnet18-width")]
    [DataRow("resnet18-width99999999999")]
    [DataRow("mlp-small")]
    [DataRow("mlp--1")]
    [DataRow("mlp-0")]
    [DataRow("mlp-linear-5")]
    [DataRow("resnet18-linear")]
    [DataRow("convnet-imagenet")]
    [DataRow("resnet18-small-width8")]
    public void Unknown_name_is_told_with_the_known_ones(string name)
    {
        var e = Assert.ThrowsExactly<FormatException>(() => Architecture.Parse(name));
        StringAssert.Contains(e.Message, "resnet50");
    }

    [TestMethod]
    public void Default_sizes_have_the_plain_name()
    {
        Assert.AreEqual(Architecture.ResNet18, Architecture.ResNet18.WithBaseWidth(64));
        Assert.AreEqual(Architecture.ConvNet, Architecture.ConvNet.WithBaseWidth(32));
        Assert.AreEqual(Architecture.Mlp, Architecture.Mlp.WithHiddenSizes(500, 500));
        Assert.AreNotEqual(Architecture.ResNet18, Architecture.ResNet18.WithStem(Stem.Small));
    }

    [TestMethod]
    public void Perceptron_without_hidden_layers_has_a_name_of_its_own()
    {
        var linear = Architecture.Parse(Architecture.Mlp.WithHiddenSizes().Name);
        Assert.AreNotEqual(Architecture.Mlp, linear);
        using var network = Create(linear, new(28, 28, 1), classes: 10);
        Assert.AreEqual(7850, network.parameters().Sum(p => p.numel()));
    }

    [TestMethod]
    public void Settings_that_do_not_apply_are_refused()
    {
        Assert.ThrowsExactly<ArgumentException>(() => Architecture.Mlp.WithBaseWidth(8));
        Assert.ThrowsExactly<ArgumentException>(() => Architecture.ResNet18.WithWidthMultiplier(0.5));
        Assert.ThrowsExactly<ArgumentException>(() => Architecture.ResNet18.WithHiddenSizes(5));
        Assert.ThrowsExactly<ArgumentException>(() => Architecture.ConvNet.WithStem(Stem.Small));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Architecture.ResNet18.WithBaseWidth(0));
    }

    [TestMethod]
    public void Auto_goes_by_the_size_of_the_images()
    {
        Assert.AreEqual(Architecture.ConvNet, Architecture.Auto.Resolve(new(28, 28, 1)));
        Assert.AreEqual(Architecture.ConvNet, Architecture.Auto.Resolve(new(64, 64, 3)));
        Assert.AreEqual(Architecture.ResNet18, Architecture.Auto.Resolve(new(32, 65, 3)));
        Assert.AreEqual(Architecture.Mlp, Architecture.Mlp.Resolve(new(28, 28, 1)));
    }

    [TestMethod]
    [DynamicData(nameof(SmallNames))]
    public void Initial_values_follow_from_the_seed_alone(string name)
    {
        var architecture = Architecture.Parse(name);
        using var scope = NewDisposeScope();
        using var first = Create(architecture, new(32, 32, 3), seed: 3);
        manual_seed(Random.Shared.NextInt64());
        using var second = Create(architecture, new(32, 32, 3), seed: 3);
        using var other = Create(architecture, new(32, 32, 3), seed: 4);
        foreach (var ((_, a), (_, b)) in first.State().Zip(second.State()))
            Assert.IsTrue(a.Equals(b));
        Assert.IsFalse(first.Head.weight.Equals(other.Head.weight));
    }

    [TestMethod]
    [DynamicData(nameof(SmallNames))]
    public void Takes_any_channels_and_classes_and_trains(string name)
    {
        var architecture = Architecture.Parse(name);
        var sizes = new[] { (new ImageShape(28, 28, 1), 10), (new ImageShape(33, 40, 3), 2), (new ImageShape(65, 72, 3), 5) };
        foreach (var (shape, classes) in sizes)
        {
            using var scope = NewDisposeScope();
            using var network = Create(architecture, shape, classes: classes);
            var x = randn(4, shape.Channels, shape.Height, shape.Width);
            var logits = network.forward(x);
            CollectionAssert.AreEqual(new long[] { 4, classes }, logits.shape);
            logits.square().sum().backward();
            foreach (var (parameter, tensor) in network.named_parameters())
            {
                Assert.IsNotNull(tensor.grad, parameter);
                Assert.IsTrue(
                    tensor.grad.isfinite().all().ToBoolean(),
                    $"{parameter} {shape} {logits.abs().max().item<float>()} {tensor.grad.abs().max().item<float>()}");
            }
        }
    }

    [TestMethod]
    [DynamicData(nameof(SmallNames))]
    public void Convolutions_lie_channels_last_even_after_loading_and_conversion(string name)
    {
        using var scope = NewDisposeScope();
        using var network = Create(Architecture.Parse(name), new(32, 32, 3));
        using var other = Create(Architecture.Parse(name), new(32, 32, 3), seed: 2);
        network.LoadState(other.State().ToDictionary(entry => entry.Name, entry => entry.Tensor.contiguous()));
        Assert.IsTrue(AllLieChannelsLast(network));
        Assert.IsTrue(AllLieChannelsLast(network.to(ScalarType.BFloat16)));
        Assert.AreEqual(ScalarType.BFloat16, network.forward(randn(2, 3, 32, 32, ScalarType.BFloat16)).dtype);

        static bool AllLieChannelsLast(Network network) =>
            network.parameters().Where(p => p.ndim == 4).All(p => p.permute(0, 2, 3, 1).is_contiguous());
    }

    [TestMethod]
    [DataRow("mobilenet_v2-0.25")]
    [DataRow("efficientnet_b0-0.25")]
    [DataRow("convnext_tiny")]
    public void What_is_dropped_follows_from_the_generator(string name)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var network = Create(Architecture.Parse(name), new(32, 32, 3));
        foreach (var (parameter, tensor) in network.named_parameters())
        {
            if (parameter.EndsWith("layer_scale", StringComparison.Ordinal))
                tensor.fill_(1);
        }
        var x = randn(8, 3, 32, 32);
        var (first, second, other) = (Forward(5), Forward(5), Forward(6));
        Assert.IsTrue(first.Equals(second));
        Assert.IsFalse(first.Equals(other));
        network.eval();
        Assert.IsTrue(Forward(5).Equals(Forward(6)));

        Tensor Forward(ulong seed)
        {
            manual_seed(Random.Shared.NextInt64());
            using var generator = new Generator(seed);
            network.DropoutGenerator = generator;
            return network.forward(x);
        }
    }

    [TestMethod]
    [DynamicData(nameof(SmallNames))]
    public void State_makes_a_round_trip_through_safetensors(string name)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var network = Create(Architecture.Parse(name), new(32, 32, 3), seed: 1);
        using var other = Create(Architecture.Parse(name), new(32, 32, 3), seed: 2);
        using var stream = new MemoryStream();
        Safetensors.Write(stream, network.State());
        using var file = SafetensorsFile.Read(stream);
        other.LoadState(file.LoadAll());
        foreach (var ((_, a), (parameter, b)) in network.State().Zip(other.State()))
            Assert.IsTrue(a.Equals(b), parameter);
    }

    [TestMethod]
    public void State_that_does_not_fit_is_refused_by_name()
    {
        using var scope = NewDisposeScope();
        using var network = Create(Architecture.Mlp.WithHiddenSizes(3), new(4, 4, 1));
        var state = network.State().ToDictionary(entry => entry.Name, entry => entry.Tensor);
        state.Remove("fc.bias", out var bias);
        StringAssert.Contains(Assert.ThrowsExactly<InvalidDataException>(() => network.LoadState(state)).Message, "fc.bias");
        state["fc.bias"] = zeros(7);
        StringAssert.Contains(Assert.ThrowsExactly<InvalidDataException>(() => network.LoadState(state)).Message, "[7]");
        state["fc.bias"] = bias!;
        state["stray"] = zeros(7);
        StringAssert.Contains(Assert.ThrowsExactly<InvalidDataException>(() => network.LoadState(state)).Message, "stray");
    }

    internal static Network Create(Architecture architecture, ImageShape shape, ulong seed = 1, int classes = 10)
    {
        using var generator = new Generator(seed);
        return architecture.Create(shape, classes, generator);
    }

    internal static Architecture Small(Architecture architecture) => architecture.Family.Scaling switch
    {
        Scaling.BaseWidth => architecture.WithBaseWidth(4),
        Scaling.Multiplier => architecture.WithWidthMultiplier(0.25),
        Scaling.HiddenSizes => architecture.WithHiddenSizes(20, 10),
        _ => architecture,
    };
}
