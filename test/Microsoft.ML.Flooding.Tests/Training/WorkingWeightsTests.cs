using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Tests.Networks;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Training;

[TestClass]
public sealed class WorkingWeightsTests
{
    [TestMethod]
    [DataRow("convnet")]
    [DataRow("factory")]
    public void Bfloat16_rounds_no_weight_and_no_buffer(string kind)
    {
        using var scope = NewDisposeScope();
        var architecture = kind == "convnet"
            ? Architecture.ConvNet.WithBaseWidth(4)
            : Architecture.FromFactory("with-buffers", (classes, _) => new WithBuffers(classes));
        using var network = ArchitectureTests.Create(architecture, new(8, 8, 1), classes: 3);
        using (no_grad())
            foreach (var (_, buffer) in network.named_buffers().Where(b => b.buffer.dtype == ScalarType.Float32))
                buffer.uniform_(0.1, 3);
        var before = network.State().ToDictionary(s => s.Name, s => s.Tensor.detach().clone());

        using var weights = new WorkingWeights(network, CPU, ScalarType.BFloat16);
        var after = weights.State();
        Assert.IsTrue(network.named_parameters().Any(p => p.parameter.dtype == ScalarType.BFloat16));
        CollectionAssert.AreEquivalent(before.Keys, after.Keys.ToArray());
        foreach (var (name, value) in before)
            Assert.IsTrue(value.Equals(after[name]), name);
    }

    [TestMethod]
    public void A_buffer_that_training_changes_is_the_changed_one()
    {
        using var scope = NewDisposeScope();
        using var network = new WithBuffers(3);
        using var weights = new WorkingWeights(network, CPU, ScalarType.BFloat16);
        using (no_grad())
            network.get_buffer("table")!.add_(1);
        Assert.AreEqual(ScalarType.BFloat16, weights.State()["table"].dtype);
        Assert.IsFalse(weights.State()["table"].to(ScalarType.Float32).allclose(WithBuffers.Table));
    }

    [TestMethod]
    public void A_buffer_that_is_infinite_on_purpose_is_not_a_divergence()
    {
        using var scope = NewDisposeScope();
        using var network = new WithBuffers(3);
        using var weights = new WorkingWeights(network, CPU, ScalarType.Float32);
        Assert.IsTrue(float.IsFinite(weights.NormOf(weights.All).item<float>()));
        Assert.IsNull(weights.FirstNotFinite(weights.All));
        using (no_grad())
            network.get_buffer("table")![0] = float.NaN;
        Assert.IsFalse(float.IsFinite(weights.NormOf(weights.All).item<float>()));
        Assert.AreEqual("table", weights.FirstNotFinite(weights.All));
    }

    private sealed class WithBuffers : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> _layers;
        private readonly Tensor _mask = full([2], float.NegativeInfinity);
        private readonly Tensor _table = Table;

        public WithBuffers(int classes) : base(nameof(WithBuffers))
        {
            _layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, classes));
            register_module("layers", _layers);
            register_buffer("mask", _mask);
            register_buffer("table", _table);
        }

        public static Tensor Table => tensor(new[] { 3.14159f, 2.71828f });

        public override Tensor forward(Tensor x) => _layers.call(x);

        protected override void RegisterComponents()
        {
        }
    }
}
