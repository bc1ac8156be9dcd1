using Microsoft.ML.Flooding.Objectives;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Objectives;

[TestClass]
public sealed class ConfidentLearningTests
{
    /// <summary>
    /// Label 0: the threshold is (0.9 + 0.8 + 0.7 + 0.1) / 4 = 0.625, label 1: (0.9 + 0.7 + 0.2) / 3 = 0.6. The fourth image of label 0 is
    /// confidently of class 1 (0.9 of 0.6), the third of label 1 confidently of class 0 (0.8 of 0.625).
    /// </summary>
    [TestMethod]
    public void The_joint_distribution_and_the_suspected_labels_are_those_of_the_paper()
    {
        using var scope = NewDisposeScope();
        var learned = ConfidentLearning.Of(
            tensor(new[,] { { 0.9f, 0.1f }, { 0.8f, 0.2f }, { 0.7f, 0.3f }, { 0.1f, 0.9f }, { 0.1f, 0.9f }, { 0.3f, 0.7f },
                { 0.8f, 0.2f } }),
            tensor(new[] { 0L, 0, 0, 0, 1, 1, 1 }));
        CollectionAssert.AreEqual(new[] { 3.0, 1 }, learned.Joint[0].ToArray());
        CollectionAssert.AreEqual(new[] { 1.0, 2 }, learned.Joint[1].ToArray());
        CollectionAssert.AreEqual(new[] { false, false, false, true, false, false, true }, learned.Suspected.ToArray());
    }

    /// <summary>Images below every threshold count as the others of their label do.</summary>
    [TestMethod]
    public void The_joint_distribution_is_calibrated_to_the_labels()
    {
        using var scope = NewDisposeScope();
        // Thresholds: class 0 (0.9 + 0.1 + 0.5) / 3 = 0.5, class 1: 0.9. Image 2 is confident of class 0, image 1 of neither: 0.85 < 0.9.
        var learned = ConfidentLearning.Of(
            tensor(new[,] { { 0.9f, 0.1f }, { 0.1f, 0.85f }, { 0.5f, 0.5f }, { 0.1f, 0.9f } }), tensor(new[] { 0L, 0, 0, 1 }));
        CollectionAssert.AreEqual(new[] { 3.0, 0 }, learned.Joint[0].ToArray());
        CollectionAssert.AreEqual(new[] { 0.0, 1 }, learned.Joint[1].ToArray());
    }

    [TestMethod]
    public void A_class_keeps_an_image_and_classes_without_images_do_no_harm()
    {
        using var scope = NewDisposeScope();
        var learned = ConfidentLearning.Of(
            tensor(new[,] { { 0.9f, 0.1f, 0 }, { 0.9f, 0.1f, 0 }, { 0.95f, 0.05f, 0 } }), tensor(new[] { 0L, 0, 1 }));
        Assert.IsFalse(learned.Suspected[2], "the only image of class 1");
        Assert.AreEqual(3, learned.Joint.Sum(row => row.Sum()), 1e-9);
    }
}
