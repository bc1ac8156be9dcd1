using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Scoring;

[TestClass]
public sealed class InferencePlanTests
{
    public static IEnumerable<object[]> Architectures => Architecture.All.Where(a => !a.Equals(Architecture.Auto)).Select(a => new object[]
    {
        a.Family.Scaling switch
        {
            Scaling.BaseWidth => a.WithBaseWidth(4).Name,
            Scaling.Multiplier => a.WithWidthMultiplier(0.25).Name,
            _ => a.Name,
        },
    });

    [TestMethod]
    [DynamicData(nameof(Architectures))]
    public void Folded_networks_score_as_the_networks_do(string name)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var shape = new ImageShape(32, 32, 3);
        using var network = RandomModel.CreateNetwork(Architecture.Parse(name), shape);
        network.eval();
        using var plan = InferencePlanBuilder.Build(network, CPU, ScalarType.Float32);
        using var generator = new Generator(2);
        var images = RandomModel.Images(4, shape, generator);

        var expected = network.forward(images.clone()).softmax(1);
        var actual = plan.Run(images.clone()).softmax(1);
        network.to(ScalarType.Float64);
        var exact = network.forward(images.to(ScalarType.Float64)).softmax(1);

        // A hundred layers of random weights amplify rounding errors. Folding may add as much again, but not more.
        var rounding = (expected - exact).abs().max().item<double>();
        Assert.IsLessThan(
            Math.Max(1e-5, 2 * rounding), (actual - exact).abs().max().item<double>(), $"Rounding without folding: {rounding}.");
        Assert.IsGreaterThan(1e-4f, (actual[0] - actual[1]).abs().max().item<float>(), "The scores must depend on the image.");
    }

    [TestMethod]
    [DataRow("resnet18-width8")]
    [DataRow("mlp-linear")]
    [DataRow("vit_tiny")]
    public void Folded_features_are_those_of_the_network(string name)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var shape = new ImageShape(32, 32, 3);
        using var network = RandomModel.CreateNetwork(Architecture.Parse(name), shape);
        network.eval();
        using var plan = InferencePlanBuilder.BuildFeatures(network, CPU, ScalarType.Float32);
        using var generator = new Generator(2);
        var images = RandomModel.Images(4, shape, generator);

        var expected = network.Features(new TensorOperators(training: false, null), images.clone());
        var actual = plan.Run(images.clone());
        CollectionAssert.AreEqual(expected.shape, actual.shape);
        Assert.IsTrue(expected.allclose(actual, 1e-3, 1e-3 * expected.abs().max().item<float>()));
    }

    [TestMethod]
    [DataRow("convnet-width8")]
    [DataRow("mlp-50")]
    [DataRow("resnet18-width8")]
    public void BFloat16_scores_are_near(string name)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var network = RandomModel.CreateNetwork(Architecture.Parse(name), new ImageShape(32, 32, 3));
        network.eval();
        using var plan = InferencePlanBuilder.Build(network, CPU, ScalarType.BFloat16);
        var images = randn([4, 32, 32, 3]).permute(0, 3, 1, 2);

        var expected = network.forward(images.clone()).softmax(1);
        var actual = plan.Run(images.to(ScalarType.BFloat16)).softmax(1, ScalarType.Float32);

        var difference = (expected - actual).abs().max().item<float>();
        Assert.IsLessThan(0.05f, difference);
        Assert.IsGreaterThan(0f, difference, "Not computed in bfloat16.");
    }

    [TestMethod]
    public void A_plan_frees_every_value_and_outlives_its_network()
    {
        using var _ = no_grad();
        var network = RandomModel.CreateNetwork(Architecture.ResNet18.WithBaseWidth(8), new ImageShape(32, 32, 3));
        using var plan = InferencePlanBuilder.Build(network, CPU, ScalarType.Float32);
        network.Dispose();
        using var scope = NewDisposeScope();

        var logits = plan.Run(randn([2, 32, 32, 3]).permute(0, 3, 1, 2));

        // The logits and the input before permute. Run frees its argument.
        Assert.AreEqual(2, scope.DisposablesCount);
        Assert.AreEqual(RandomModel.Classes, logits.shape[1]);
    }

    /// <summary>A temporary lack of memory must not make a model unusable.</summary>
    [TestMethod]
    public void A_plan_that_could_not_be_made_is_made_at_the_next_use()
    {
        var shape = new ImageShape(8, 8, 3);
        var network = new FailingOnce();
        using var classifier = RandomModel.Classify(
            network, RandomModel.Describe(Architecture.Mlp, shape) with { ScoringEngine = ScoringEngine.LibTorch });
        using var images = zeros([2, 8, 8, 3], ScalarType.Byte);
        var scores = new float[2 * RandomModel.Classes];
        var live = LiveTensors.Count();
        Assert.ThrowsExactly<InsufficientMemoryException>(() => classifier.Score(images, scores));
        Assert.AreEqual(live, LiveTensors.Count(), "The weights that were copied before are freed.");
        classifier.Score(images, scores);
        Assert.AreEqual(1, scores[..RandomModel.Classes].Sum(), 1e-5);
    }

    /// <summary>A linear classifier whose first inference plan fails to build, for lack of memory.</summary>
    private sealed class FailingOnce : Network
    {
        private bool _failed;

        public FailingOnce() : base("failing")
        {
            Head = nn.Linear(192, RandomModel.Classes);
            register_module("fc", Head);
        }

        public override TorchSharp.Modules.Linear Head { get; }

        public override T Features<T>(IOperators<T> op, T x) => op.Flatten(1, x);

        public override T Logits<T>(IOperators<T> op, T x)
        {
            var logits = base.Logits(op, x);
            if (op is InferencePlanBuilder && !_failed)
            {
                _failed = true;
                throw new InsufficientMemoryException();
            }
            return logits;
        }
    }
}
