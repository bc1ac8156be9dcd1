using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Tests.Images;
using Microsoft.ML.Flooding.Tests.Pipeline;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Training;

/// <summary>Results belong to the requested rows, whatever the order in which a set delivers them.</summary>
[TestClass]
public sealed class InferenceTests
{
    private const int Count = 60;
    private const double Tolerance = 1e-5;

    private static readonly Normalization Normalization = new([73], [90]);

    [TestMethod]
    public void Logits_and_labels_are_in_the_order_of_the_rows()
    {
        using var scope = NewDisposeScope();
        using var memory = Load(null);
        using var stream = Load(Count / 3);
        using var normalizer = Normalization.On(CPU);
        using var network = Create(memory);
        var rows = randperm(Count, generator: new Generator(3)).narrow(0, 0, Count - 7);
        (Tensor Logits, Tensor Labels) Of(ImageSet set) =>
            Inference.ComputeLogits(network, ScalarType.Float32, set, rows, normalizer, CPU, () => { });
        var expected = Of(memory);
        var actual = Of(stream);

        CollectionAssert.AreEqual(memory.Labels.index_select(0, rows).data<long>().ToArray(), expected.Labels.data<long>().ToArray());
        CollectionAssert.AreEqual(expected.Labels.data<long>().ToArray(), actual.Labels.data<long>().ToArray());
        AssertClose(expected.Logits, actual.Logits);
        var one = Inference.ComputeLogits(network, ScalarType.Float32, memory, rows.narrow(0, 11, 1), normalizer, CPU, () => { }).Logits;
        AssertClose(one, actual.Logits.narrow(0, 11, 1));
    }

    [TestMethod]
    public void Evaluation_is_the_same_on_a_streamed_set()
    {
        using var scope = NewDisposeScope();
        using var memory = Load(null);
        using var stream = Load(Count / 3);
        using var normalizer = Normalization.On(CPU);
        using var network = Create(memory);
        using var weights = new WorkingWeights(network, CPU, ScalarType.Float32);
        var rows = randperm(Count, generator: new Generator(3)).narrow(0, 0, Count - 7);
        Evaluation Of(ImageSet set) => Evaluation.Measure(
            new WholeNetwork(weights, normalizer, false), set, rows, exampleWeights: null, CPU, () => { });

        Assert.AreEqual(Of(memory).Loss, Of(stream).Loss, Tolerance);
        Assert.AreEqual(Of(memory).Accuracy, Of(stream).Accuracy);
    }

    [TestMethod]
    public void Cached_features_of_a_streamed_set_belong_to_their_rows()
    {
        using var scope = NewDisposeScope();
        using var memory = Load(null);
        using var stream = Load(Count / 3);
        using var normalizer = Normalization.On(CPU);
        using var network = Create(memory);
        using var weights = new WorkingWeights(network, CPU, ScalarType.Float32);
        var head = new HeadOnly(weights, network, normalizer, takesFeatures: true);
        Tensor Features(ImageSet set)
        {
            using var features = CachedFeatures.Compute(new TrainingData(set, arange(Count), null, null), head, CPU, () => { });
            Assert.IsTrue(features.Data.Training.Labels.eq(memory.Labels).all().item<bool>());
            return ImageSetTests.Read(features.Data.Training).clone();
        }

        AssertClose(Features(memory), Features(stream));
    }

    /// <summary>If the weights do not change, the auxiliary networks do not depend on the order of training.</summary>
    [TestMethod]
    public void The_held_out_predictions_for_AdaFlood_belong_to_their_rows()
    {
        using var scope = NewDisposeScope();
        using var memory = Load(null);
        using var stream = Load(Count / 3);
        var rows = randperm(Count, generator: new Generator(3)).narrow(0, 0, Count - 7);
        Tensor Of(ImageSet set)
        {
            var data = new TrainingData(set, rows, null, null);
            var runs = new RunFactory(Architecture.Mlp.WithHiddenSizes(), 10, data, Normalization, CPU, ScalarType.Float32, 1, () => { });
            using var heldOut = new HeldOutPredictions(
                runs, new TrainingOptions { Epochs = 1, LearningRate = 1e-38 }, _ => _ => { }, _ => { });
            return heldOut.Probabilities(new(3)).clone();
        }

        var expected = Of(memory);
        Assert.IsGreaterThan(0.01, expected.index_select(0, rows).std().item<float>(), "the predictions differ from row to row");
        AssertClose(expected, Of(stream));
    }

    private static void AssertClose(Tensor expected, Tensor actual)
    {
        CollectionAssert.AreEqual(expected.shape, actual.shape);
        Assert.IsLessThan(Tolerance, (expected - actual).abs().max().item<float>());
    }

    /// <param name="imagesAtOnce">Of a streamed set; null for one in memory.</param>
    private static ImageSet Load(int? imagesAtOnce)
    {
        var set = ImageSetTests.Load(
            FashionMnistData.Train(TestImages.Context, Count), new ImageSetOptions { MaxCacheBytes = imagesAtOnce * 784, UseDisk = false });
        Assert.AreEqual(imagesAtOnce / 2 ?? Count, set.BlockLength);
        return set;
    }

    private static Network Create(ImageSet set) => Architecture.Mlp.WithHiddenSizes(16).Create(set.Shape, 10, new Generator(1));

    [TestMethod]
    public void Validation_takes_as_many_images_at_a_time_as_scoring()
    {
        const int Count = 100;
        var shape = new ImageShape(64, 64, 3);
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        using var network = Architecture.MobileNetV2.Create(shape, 10, generator);
        using var set = new MemoryImageSet(
            shape, zeros([Count, 64, 64, 3], ScalarType.Byte), zeros([Count], ScalarType.Int64), arange(Count),
            zeros(Count, ScalarType.Int64));
        using var normalizer = new Normalization([0, 0, 0], [1, 1, 1]).On(CPU);
        var batches = 0;
        Inference.ComputeLogits(network, ScalarType.Float32, set, arange(Count), normalizer, CPU, () => batches++);

        // For small images, the largest result of MobileNetV2 has 96 channels of the full width and height: 32 MB are 21 images.
        Assert.AreEqual(5, batches);
    }
}
