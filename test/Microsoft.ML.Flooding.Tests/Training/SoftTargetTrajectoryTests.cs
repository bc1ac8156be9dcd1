using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Objectives;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Training;

/// <summary>Training on soft targets is what libtorch's own operators and optimizer compute in float64.</summary>
[TestClass]
public sealed class SoftTargetTrajectoryTests
{
    private const int Images = 24;
    private const int Steps = 40;
    private const double Tolerance = 1e-5;

    [TestMethod]
    public void Every_weight_is_that_of_a_plain_loop_over_the_same_targets()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var pixels = rand([Images, 4, 4, 1], generator: generator);
        var labels = randint(0, 3, [Images], dtype: ScalarType.Int64, generator: generator);
        var targets = SoftTargets.Mix(rand([Images, 3], generator: generator).mul(3).softmax(1), labels, 0.7);
        using var network = Architecture.Mlp.WithHiddenSizes().Create(new ImageShape(4, 4, 1), 3, generator);
        var (weight, bias) = (Start(network.Head.weight), Start(network.Head.bias));
        var options = new TrainingOptions { LearningRate = 0.5, Momentum = 0.9 };
        using var weights = new WorkingWeights(network, CPU, ScalarType.Float32);
        using var normalizer = new Normalization([0], [1]).On(CPU);
        using var step = new TrainingStep(
            weights, new SoftTargets(targets), new WholeNetwork(weights, normalizer, freezeBatchNorm: false), options);
        using var reference = optim.SGD([weight, bias], 0.5, momentum: 0.9);

        for (var i = 0; i < Steps; i++)
        {
            var rows = randperm(Images, generator: generator).narrow(0, 0, 8);
            step.Take(new ImageBatch(pixels.index_select(0, rows), labels.index_select(0, rows), rows), 0.5, generator);

            reference.zero_grad();
            var inputs = pixels.index_select(0, rows).flatten(1).to(ScalarType.Float64);
            var logits = inputs.matmul(weight.t()) + bias;
            var loss = nn.functional.cross_entropy(logits, targets.index_select(0, rows).to(ScalarType.Float64));
            loss.backward();
            reference.step();
        }
        Assert.IsLessThan(Tolerance, (network.Head.weight.to(ScalarType.Float64) - weight).abs().max().item<double>());
        Assert.IsLessThan(Tolerance, (network.Head.bias!.to(ScalarType.Float64) - bias).abs().max().item<double>());

        static TorchSharp.Modules.Parameter Start(Tensor? value) => nn.Parameter(value!.detach().to(ScalarType.Float64));
    }
}
