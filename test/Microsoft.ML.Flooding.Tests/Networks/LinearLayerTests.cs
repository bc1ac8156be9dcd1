using Microsoft.ML.Flooding.Networks;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Networks;

[TestClass]
public sealed class LinearLayerTests
{
    /// <summary>On AMD processors this is the library's own gradient, except for few rows.</summary>
    [TestMethod]
    [DataRow(new long[] { 128, 784 }, 100, true)]
    [DataRow(new long[] { 1, 3 }, 1, true)]
    [DataRow(new long[] { 7, 33 }, 10, false)]
    [DataRow(new long[] { 2, 5, 16 }, 48, true)]
    [DataRow(new long[] { 70, 33 }, 10, false)]
    [DataRow(new long[] { 8, 5, 16 }, 48, true)]
    [DataRow(new long[] { 32, 3 }, 1, true)]
    public void Values_and_gradients_are_those_in_double_precision(long[] shape, int outputs, bool hasBias)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        long[][] shapes = [shape, [outputs, shape[^1]], [outputs]];
        var exact = shapes.Select(s => randn(s, ScalarType.Float64, generator: generator)).ToArray();
        var single = exact.Select(t => t.to(ScalarType.Float32)).ToArray();
        foreach (var leaf in exact.Concat(single))
            leaf.requires_grad = true;

        var y = LinearLayer.Apply(single[0], single[1], hasBias ? single[2] : null);
        var exactY = nn.functional.linear(exact[0], exact[1], hasBias ? exact[2] : null);
        AssertClose(exactY, y);
        y.square().sum().backward();
        exactY.square().sum().backward();
        foreach (var (a, b) in exact.Zip(single).Take(hasBias ? 3 : 2))
            AssertClose(a.grad!, b.grad!);
        using var _ = no_grad();
        AssertClose(exactY, LinearLayer.Apply(single[0], single[1], hasBias ? single[2] : null));
    }

    [TestMethod]
    public void Input_without_a_gradient_costs_none()
    {
        using var scope = NewDisposeScope();
        var (x, weight, bias) = (rand(40, 5), rand(3, 5), rand(3));
        weight.requires_grad = true;
        bias.requires_grad = true;
        var gradients = autograd.grad([LinearLayer.Apply(x, weight, bias).sum()], [weight, bias]);
        Assert.HasCount(2, gradients.ToArray());
        Assert.IsTrue(gradients[1].allclose(full(3, 40f)));
        Assert.IsTrue(gradients[0].allclose(x.sum([0L]).expand(3, 5)));
    }

    /// <summary>An exception through libtorch's frames, or one that TorchSharp does not catch, would end the process.</summary>
    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void An_error_in_the_gradient_is_an_exception(bool ours)
    {
        using var scope = NewDisposeScope();
        var (x, weight) = (rand(64, 5), rand(3, 5));
        x.requires_grad = true;
        weight.requires_grad = true;
        Tensor Compute() => ours ? LinearLayer.apply(x, weight, null!) : nn.functional.linear(x, weight);
        var y = Compute().square().sum();
        // Changes a value that the gradient needs, after the forward pass.
        using (no_grad())
            weight.add_(1);
        var error = Assert.Throws<Exception>(() => Gradient.Of(y, [x, weight]));
        StringAssert.Contains(error.Message, "modified by an inplace operation");

        Assert.IsTrue(Gradient.Of(Compute().sum(), [x, weight])[0].allclose(weight.sum([0L]).expand(64, 5)));
        Assert.IsNull(weight.grad);
    }

    private static void AssertClose(Tensor expected, Tensor actual)
    {
        using var _ = no_grad();
        Assert.IsLessThan(1e-5, ((expected - actual).abs().max() / expected.abs().max()).item<double>());
    }
}
