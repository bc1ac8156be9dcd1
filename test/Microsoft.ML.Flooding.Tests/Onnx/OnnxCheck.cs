using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Networks.Onnx;
using Microsoft.ML.Flooding.Scoring;
using Microsoft.ML.Flooding.Tests.Scoring;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using static TorchSharp.torch;
using Tensor = TorchSharp.torch.Tensor;

namespace Microsoft.ML.Flooding.Tests.Onnx;

/// <summary>A file as ONNX Runtime and as this library read it.</summary>
internal static class OnnxCheck
{
    private const float Tolerance = 1e-4f;

    /// <summary>An input that the network takes as it is.</summary>
    public static OnnxInput Raw { get; } = OnnxInput.Pixels;

    public static Architecture Read(byte[] file, OnnxInput? input = null)
    {
        using var temporary = new TemporaryFile(".onnx");
        File.WriteAllBytes(temporary.Path, file);
        return Architecture.FromOnnx(temporary.Path, input ?? Raw);
    }

    public static float[] Runtime(byte[] file, Tensor images)
    {
        using var quiet = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
        using var session = new InferenceSession(file, quiet);
        var input = new DenseTensor<float>(images.contiguous().data<float>().ToArray(), [.. images.shape.Select(size => (int)size)]);
        using var results = session.Run([NamedOnnxValue.CreateFromTensor(session.InputNames[0], input)]);
        return results[0].AsTensor<float>().ToArray();
    }

    /// <summary>
    /// The features of a graph in each interpreter against ONNX Runtime's result, for one image and for three; and that they have
    /// gradients.
    /// </summary>
    /// <param name="file">Whose result is no softmax.</param>
    /// <param name="shape">Of its images.</param>
    /// <param name="isForOneImage">Whether ONNX Runtime takes one image at a time only.</param>
    public static void Features(byte[] file, ImageShape shape, bool isForOneImage = false)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        var architecture = Read(file);
        using var probe = (GraphNetwork)architecture.Create(shape, 2, generator);
        var width = (int)probe.Head.in_features;
        using var network = (GraphNetwork)architecture.Create(shape, width, generator);
        using (no_grad())
        {
            network.Head.weight!.copy_(eye(width));
            network.Head.bias!.zero_();
        }
        network.eval();
        using var plan = InferencePlanBuilder.Build(network, CPU, ScalarType.Float32);
        using var exported = new MemoryStream();
        OnnxModel.Save(exported, network, RandomModel.Describe(Architecture.Mlp, shape, width), includeNormalization: false);
        foreach (var count in new[] { 1, 3 })
        {
            var images = randn([count, shape.Channels, shape.Height, shape.Width], generator: generator);
            var expected = isForOneImage
                ? Enumerable.Range(0, count).SelectMany(i => Runtime(file, images[i..(i + 1)])).ToArray()
                : Runtime(file, images);
            Assert.IsTrue(expected.All(float.IsFinite));
            Assert.IsGreaterThan(1e-3f, expected.Max() - expected.Min(), "The result must depend on something.");
            using (no_grad())
            {
                AssertNear(expected, network.forward(images.clone()), "tensors");
                AssertNear(expected, plan.Run(images.clone()), "plan");
                AssertNear(Runtime(exported.ToArray(), images), tensor(expected).reshape(count, width).softmax(1), "export");
            }
            network.train();
            var logits = network.forward(images.clone());
            logits.square().sum().backward();
            Assert.IsTrue(network.parameters().Where(p => p.grad is not null).All(p => p.grad!.isfinite().all().item<bool>()));
            network.zero_grad();
            network.eval();
            Restore(network, architecture, shape, generator);
        }
        var complexity = Complexity.Of(network, shape);
        Assert.IsGreaterThan(0, complexity.Parameters);
    }

    public static void AssertNear(float[] expected, Tensor actual, string what)
    {
        var values = actual.contiguous().data<float>().ToArray();
        Assert.HasCount(expected.Length, values, what);
        for (var i = 0; i < values.Length; i++)
            Assert.AreEqual(expected[i], values[i], Tolerance * Math.Max(1, Math.Abs(expected[i])), $"{what}, value {i}");
    }

    /// <summary>Batch norm has moved its statistics.</summary>
    private static void Restore(GraphNetwork network, Architecture architecture, ImageShape shape, Generator generator)
    {
        using var _ = no_grad();
        using var fresh = architecture.Create(shape, 2, generator);
        var state = fresh.State().ToDictionary(entry => entry.Name, entry => entry.Tensor);
        foreach (var (name, own) in network.State().Where(entry => !entry.Name.StartsWith("head.", StringComparison.Ordinal)))
            own.copy_(state[name]);
    }
}
