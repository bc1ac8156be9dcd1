using Microsoft.ML.Flooding.Training;
using static Microsoft.ML.Flooding.Tests.Training.StratifiedSplitTests;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Training;

/// <summary>Which images are used, and with which weights.</summary>
[TestClass]
public sealed class TrainingDataTests
{
    [TestMethod]
    public void Balanced_classes_have_the_same_total_weight()
    {
        using var scope = NewDisposeScope();
        using var set = Set(Labels(6, 3, 1));
        var data = TrainingData.Split(set, null, 0, ClassWeights.Balanced, classes: 4, seed: 1);
        // N / (K n) with N = 10 and K = 3: the fourth class has no images.
        float[] expected = [.. Enumerable.Repeat(10f / 18, 6), .. Enumerable.Repeat(10f / 9, 3), 10f / 3];
        AssertWeights(expected, data.Weights);
    }

    [TestMethod]
    public void Class_weights_multiply_those_of_the_images_and_their_mean_is_one()
    {
        using var scope = NewDisposeScope();
        using var set = Set([0, 0, 1, 1], weights: [1, 2, 3, 4]);
        // The weights 2, 4, 3 and 4 have the mean 13 / 4.
        AssertWeights([8f / 13, 16f / 13, 12f / 13, 16f / 13], TrainingData.Split(set, null, 0, ClassWeights.Create(20, 10), 2, 1).Weights);
        // The weights of the classes sum to 3 and 7. Each becomes 5: 5/3, 10/3, 15/7, 20/7.
        AssertWeights([2f / 3, 4f / 3, 6f / 7, 8f / 7], TrainingData.Split(set, null, 0, ClassWeights.Balanced, 2, 1).Weights);
    }

    [TestMethod]
    public void Weights_that_are_all_the_same_are_none()
    {
        using var scope = NewDisposeScope();
        using var set = Set([0, 0, 1, 1], weights: [0.3f, 0.3f, 0.3f, 0.3f]);
        Assert.IsNull(TrainingData.Split(set, set, 0, ClassWeights.None, 2, 1).Weights);
        Assert.IsNull(TrainingData.Split(set, set, 0, ClassWeights.Balanced, 2, 1).ValidationWeights);
        Assert.IsNull(TrainingData.Split(set, set, 0, ClassWeights.Create(7, 7), 2, 1).Weights);
    }

    [TestMethod]
    public void Images_of_weight_zero_are_on_neither_side()
    {
        using var scope = NewDisposeScope();
        using var set = Set(Labels(10, 10, 10), weights: [.. Enumerable.Range(0, 30).Select(i => i % 5 == 0 ? 0f : i)]);
        var data = TrainingData.Split(set, null, 0.25, ClassWeights.Create(1, 0, 1), 3, 1);
        long[] used = [.. Rows(data.TrainingRows).Concat(Rows(data.ValidationRows!)).Order()];
        CollectionAssert.AreEqual(Enumerable.Range(0, 30).Where(i => i % 5 != 0 && i / 10 != 1).Select(i => (long)i).ToArray(), used);
        Assert.AreEqual(1, data.Weights!.index_select(0, data.TrainingRows).mean().item<float>(), 1e-6);
        Assert.AreEqual(1, data.ValidationWeights!.index_select(0, data.ValidationRows!).mean().item<float>(), 1e-6);
    }

    [TestMethod]
    public void A_validation_set_is_weighted_by_the_classes_of_the_training_set()
    {
        using var scope = NewDisposeScope();
        using var training = Set(Labels(3, 1));
        using var validation = Set([0, 0, 1, 2]);
        // The class weights are 2/3, 2, and 1 for class 2, which has no training images. Their mean over the validation set is 13/12.
        AssertWeights(
            [8f / 13, 8f / 13, 24f / 13, 12f / 13],
            TrainingData.Split(training, validation, 0, ClassWeights.Balanced, 3, 1).ValidationWeights);
    }

    [TestMethod]
    public void Class_weights_that_are_none_are_refused()
    {
        foreach (float[] weights in new float[][] { [], [0, 0], [1, -1], [1, float.NaN], [1, float.PositiveInfinity] })
            StringAssert.Contains(
                Assert.ThrowsExactly<ArgumentException>(() => ClassWeights.Create(weights)).Message, "finite and at least 0");
        Assert.AreEqual(ClassWeights.Create(1, 2.5f), ClassWeights.Create(1, 2.5f));
        Assert.AreNotEqual(ClassWeights.Create(1, 2.5f), ClassWeights.Create(1, 2));
        Assert.AreEqual("Create(1, 2.5)", $"{ClassWeights.Create(1, 2.5f)}");
        Assert.AreEqual("Balanced", $"{ClassWeights.Balanced}");
    }

    private static void AssertWeights(float[] expected, Tensor? actual)
    {
        var values = actual!.data<float>().ToArray();
        Assert.HasCount(expected.Length, values);
        for (var i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], values[i], 1e-6f, $"row {i}");
    }
}
