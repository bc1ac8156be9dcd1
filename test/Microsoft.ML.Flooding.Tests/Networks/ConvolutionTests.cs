using Microsoft.ML.Flooding.Networks;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Networks;

[TestClass]
public class ConvolutionTests
{
    public static IEnumerable<(int Inputs, int Outputs, int Size, int Kernel, int Stride, int Groups, int Samples)> Cases =>
        from channels in new[] { (3, 8), (4, 8), (8, 8), (12, 24), (16, 48), (144, 40), (80, 320) }
        from size in new[] { 1, 2, 7, 28 }
        from kernel in new[] { 1, 3 }
        from stride in new[] { 1, 2 }
        from samples in new[] { 1, 2 }
        select (channels.Item1, channels.Item2, size, kernel, stride, 1, samples);

    /// <summary>For some of these, oneDNN has given wrong values, NaN, and a corrupted heap.</summary>
    [TestMethod]
    public void Values_and_gradients_are_those_in_double_precision()
    {
        foreach (var (inputs, outputs, size, kernel, stride, groups, samples) in Cases)
        {
            using var scope = NewDisposeScope();
            using var generator = new Generator(1);
            using var conv = nn.Conv2d(inputs, outputs, kernel, stride, padding: kernel / 2, groups: groups);
            var exactX = randn([samples, inputs, size, size], ScalarType.Float64, generator: generator);
            var exactWeight = randn([outputs, inputs / groups, kernel, kernel], ScalarType.Float64, generator: generator);
            var exactBias = randn([outputs], ScalarType.Float64, generator: generator);
            var x = exactX.to(ScalarType.Float32).ToChannelsLast();
            var weight = exactWeight.to(ScalarType.Float32).ToChannelsLast();
            var bias = exactBias.to(ScalarType.Float32);
            foreach (var leaf in new[] { exactX, exactWeight, exactBias, x, weight, bias })
                leaf.requires_grad = true;

            var y = Convolution.Apply(conv, x, weight, bias);
            var exactY = nn.functional.conv2d(exactX, exactWeight, exactBias, conv.stride, conv.padding, conv.dilation, groups);
            y.square().sum().backward();
            exactY.square().sum().backward();

            var what = $"{inputs} to {outputs}, {kernel}x{kernel} / {stride}, {samples} of {size}";
            AssertClose(exactY, y, what);
            AssertClose(exactX.grad!, x.grad!, what + ", x");
            AssertClose(exactWeight.grad!, weight.grad!, what + ", weight");
            AssertClose(exactBias.grad!, bias.grad!, what + ", bias");
            AssertClose(exactY - exactBias.reshape(1, -1, 1, 1), Convolution.Apply(conv, x, weight, null), what + ", no bias");
        }
    }

    /// <summary>TorchSharp boxes the numbers in a call of a script. The garbage collector frees boxes without a reference.</summary>
    [TestMethod]
    public void A_collection_during_the_convolution_of_one_image_changes_nothing()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var generator = new Generator(1);
        using var conv = nn.Conv2d(3, 4, 3, stride: 2, padding: 1);
        var x = randn([1, 3, 8, 8], generator: generator).ToChannelsLast();
        var weight = randn([4, 3, 3, 3], generator: generator).ToChannelsLast();
        var bias = randn([4], generator: generator);
        var expected = Convolution.Apply(conv, x, weight, bias);
        using var end = new CancellationTokenSource();
        var collector = Task.Run(() =>
        {
            while (!end.IsCancellationRequested)
            {
                GC.Collect(0);
                GC.WaitForPendingFinalizers();
            }
        });
        try
        {
            for (var i = 0; i < 5000; i++)
            {
                using var y = Convolution.Apply(conv, x, weight, bias);
                Assert.IsTrue(y.equal(expected).all().item<bool>());
            }
        }
        finally
        {
            end.Cancel();
            collector.Wait();
        }
    }

    private static void AssertClose(Tensor expected, Tensor actual, string what)
    {
        using var _ = no_grad();
        var difference = (expected - actual).abs().max().item<double>() / expected.abs().max().item<double>();
        Assert.IsLessThan(1e-5, difference, what);
    }
}
