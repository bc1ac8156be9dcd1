using Microsoft.ML.Flooding.Objectives;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Objectives;

/// <summary>Targets that are distributions: values computed by hand, and the gradient that follows from them.</summary>
[TestClass]
public sealed class SoftTargetsTests
{
    private const double Tolerance = 1e-6;

    [TestMethod]
    public void Targets_lie_between_the_predictions_and_the_labels()
    {
        using var scope = NewDisposeScope();
        var probabilities = tensor(new[,] { { 0.7f, 0.2f, 0.1f }, { 0.1f, 0.3f, 0.6f } });
        var labels = tensor(new[] { 0L, 1 });

        // 0.25 p + 0.75 y
        Near([0.925f, 0.05f, 0.025f, 0.025f, 0.825f, 0.15f], SoftTargets.Mix(probabilities, labels, 0.25));
        Near([1, 0, 0, 0, 1, 0], SoftTargets.Mix(probabilities, labels, 0));
        Near([0.7f, 0.2f, 0.1f, 0.1f, 0.3f, 0.6f], SoftTargets.Mix(probabilities, labels, 1));
        Near([0.7f, 0.2f, 0.1f, 0.1f, 0.3f, 0.6f], probabilities);
    }

    [TestMethod]
    public void The_floor_of_a_sample_is_the_entropy_of_its_target()
    {
        using var scope = NewDisposeScope();
        var targets = tensor(new[,] { { 1f, 0, 0, 0 }, { 0.5f, 0.5f, 0, 0 }, { 0.25f, 0.25f, 0.25f, 0.25f } });
        Near([0, MathF.Log(2), MathF.Log(4)], SoftTargets.Floors(targets));
    }

    [TestMethod]
    public void The_loss_is_at_its_floor_where_the_network_predicts_the_targets()
    {
        using var scope = NewDisposeScope();
        var targets = tensor(new[,] { { 0.5f, 0.25f, 0.25f }, { 0.1f, 0.1f, 0.8f } });
        var floor = SoftTargets.Floors(targets).mean().item<float>();
        float LossOf(Tensor logits) => new SoftTargets(targets).Of(Batch(logits)).Minimised.item<float>();

        Assert.AreEqual(floor, LossOf(targets.log()), Tolerance);
        Assert.IsGreaterThan(floor + 0.01f, LossOf(targets.log() * 1.5f), "more certain than the targets");
        Assert.IsGreaterThan(floor + 0.01f, LossOf(targets.log() * 0.5f), "less certain than the targets");
        // At uniform predictions, every target costs ln 3.
        Assert.AreEqual(MathF.Log(3), LossOf(zeros(2, 3)), Tolerance);
    }

    [TestMethod]
    public void The_gradient_is_that_of_the_predictions_less_the_targets()
    {
        using var scope = NewDisposeScope();
        var targets = tensor(new[,] { { 0.5f, 0.25f, 0.25f }, { 0.1f, 0.1f, 0.8f } });
        var logits = tensor(new[,] { { 1f, 0, -1 }, { 0.3f, 0.2f, 0.1f } }, requires_grad: true);
        new SoftTargets(targets).Of(Batch(logits)).Minimised.backward();
        Near((logits.softmax(1) - targets).div(2).data<float>().ToArray(), logits.grad!);
    }

    [TestMethod]
    public void Samples_that_do_not_count_have_no_gradient_and_weights_multiply_the_others()
    {
        using var scope = NewDisposeScope();
        var targets = tensor(new[,] { { 0.5f, 0.25f, 0.25f }, { 0.1f, 0.1f, 0.8f } });
        var logits = tensor(new[,] { { 1f, 0, -1 }, { 0.3f, 0.2f, 0.1f } }, requires_grad: true);
        new SoftTargets(targets, tensor(new[] { 0f, 2f })).Of(Batch(logits, tensor(new[] { 1f, 3f }))).Minimised.backward();
        // 3 * 2 / 2 for the second sample.
        var expected = (logits.softmax(1) - targets).mul(tensor(new[,] { { 0f }, { 3f } }));
        Near(expected.data<float>().ToArray(), logits.grad!);
    }

    [TestMethod]
    public void Smoothed_labels_cost_what_their_targets_do()
    {
        using var scope = NewDisposeScope();
        var logits = tensor(new[,] { { 1f, 0, -1 }, { 0.3f, 0.2f, 0.1f } });
        // 0.7 y + 0.3 / 3
        var targets = tensor(new[,] { { 0.8f, 0.1f, 0.1f }, { 0.1f, 0.8f, 0.1f } });
        var expected = nn.functional.cross_entropy(logits, tensor(new[] { 0L, 1 }), label_smoothing: 0.3).item<float>();
        Assert.AreEqual(expected, new SmoothedLabels(0.3).Of(Batch(logits)).Minimised.item<float>(), Tolerance);
        Assert.AreEqual(expected, new SoftTargets(targets).Of(Batch(logits)).Minimised.item<float>(), Tolerance);
    }

    [TestMethod]
    public void Suspected_samples_of_a_training_set_do_not_count_and_the_others_count_more()
    {
        using var scope = NewDisposeScope();
        // Row 3 is not trained on. Row 2 has label 0, but is as clearly of class 1 as rows 4 and 5.
        var probabilities = tensor(new[,]
        {
            { 0.9f, 0.1f }, { 0.8f, 0.2f }, { 0.05f, 0.95f }, { 0, 0 }, { 0.1f, 0.9f }, { 0.2f, 0.8f },
        });
        var facts = new ObjectiveFacts(
            [3, 2], tensor(new[] { 0L, 0, 0, 0, 1, 1 }), tensor(new[] { 0L, 1, 2, 4, 5 }), _ => probabilities, CPU);
        var objective = SoftTargets.Corrected(facts, weight: 0.5, new Auxiliaries(2), withoutSuspects: true);
        var logits = zeros([5, 2], requires_grad: true);
        objective.Of(Batch(logits, rows: [0, 1, 2, 4, 5])).Minimised.backward();

        Near([0, 0], logits.grad![2]);
        // Four of five samples count, each 5 / 4 times. The target of row 0 is 0.5 (0.9, 0.1) + 0.5 (1, 0).
        Near([(0.5f - 0.95f) / 5 * 1.25f, (0.5f - 0.05f) / 5 * 1.25f], logits.grad[0]);
    }

    private static BatchLoss Batch(Tensor logits, Tensor? weights = null, long[]? rows = null)
    {
        var labels = tensor(new[] { 0L, 1 });
        return new BatchLoss(
            reduction => nn.functional.cross_entropy(logits, labels, reduction: reduction), labels, rows is null ? labels : tensor(rows),
            weights, logits);
    }

    private static void Near(float[] expected, Tensor actual)
    {
        var values = actual.contiguous().data<float>().ToArray();
        Assert.HasCount(expected.Length, values);
        for (var i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], values[i], Tolerance, $"value {i}");
    }
}
