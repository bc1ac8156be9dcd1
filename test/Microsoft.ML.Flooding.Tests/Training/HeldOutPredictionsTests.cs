using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Objectives;
using Microsoft.ML.Flooding.Tests.Images;
using Microsoft.ML.Flooding.Tests.Pipeline;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Training;

/// <summary>Predictions of images by networks that were not trained on them.</summary>
[TestClass]
public sealed class HeldOutPredictionsTests
{
    private const int Count = 120;

    private static readonly Normalization Normalization = new([73], [90]);

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void A_label_changes_nothing_in_its_own_prediction(bool validated)
    {
        using var scope = NewDisposeScope();
        using var set = Load();
        var before = Predict(set, folds: 2, validated);
        var (first, second) = TwoOfOneFold(set, validated);
        Swap(set, first, second);
        var after = Predict(set, folds: 2, validated);

        foreach (var row in new[] { first, second })
            CollectionAssert.AreEqual(Values(before[row]), Values(after[row]), "held out");
        var changed = Enumerable.Range(0, Count).Count(row => !Values(before[row]).SequenceEqual(Values(after[row])));
        Assert.IsGreaterThan(Count / 4, changed, "the other fold is predicted by a network that was trained on the labels");
    }

    [TestMethod]
    public void A_teacher_predicts_what_it_was_trained_on()
    {
        using var scope = NewDisposeScope();
        using var set = Load();
        var before = Predict(set, new Auxiliaries(1, HoldOut: false));
        set.Labels[7] = (set.Labels[7].item<long>() + 1) % 10;
        CollectionAssert.AreNotEqual(Values(before[7]), Values(Predict(set, new Auxiliaries(1, HoldOut: false))[7]));
    }

    [TestMethod]
    public void The_predictions_of_several_teachers_are_averaged()
    {
        using var scope = NewDisposeScope();
        using var set = Load();
        var first = Predict(set, new Auxiliaries(1, HoldOut: false));
        // The first of two teachers is the only one of one, so the second's predictions follow from the average.
        var second = Predict(set, new Auxiliaries(2, HoldOut: false)).mul(2).sub(first);
        var rows = Rows(validated: true);
        Assert.IsTrue(second.min().item<float>() > -1e-5, "probabilities");
        Assert.AreEqual(0, second.index_select(0, rows).sum(1).sub(1).abs().max().item<float>(), 1e-5, "they sum to 1");
        Assert.IsGreaterThan(1e-3, second.sub(first).abs().max().item<float>(), "another network");
    }

    [TestMethod]
    public void The_same_seed_gives_the_same_predictions_and_they_are_probabilities_of_the_training_rows_only()
    {
        using var scope = NewDisposeScope();
        using var set = Load();
        var first = Predict(set, folds: 3, validated: true);
        CollectionAssert.AreEqual(Values(first), Values(Predict(set, folds: 3, validated: true)));
        CollectionAssert.AreNotEqual(Values(first), Values(Predict(set, folds: 3, validated: true, seed: 2)));
        var sums = first.sum(1).data<float>().ToArray();
        for (var row = 0; row < Count; row++)
            Assert.AreEqual(row < Count - 20 ? 1 : 0, sums[row], 1e-5, $"row {row}");
    }

    [TestMethod]
    public void Predictions_are_computed_once_for_a_number_of_folds()
    {
        using var scope = NewDisposeScope();
        using var set = Load();
        List<string> networks = [];
        List<string> lines = [];
        using var heldOut = new HeldOutPredictions(Runs(set, validated: true, seed: 1), Options(), name =>
        {
            networks.Add(name);
            return _ => { };
        }, lines.Add);
        Assert.AreSame(heldOut.Probabilities(new(2)), heldOut.Probabilities(new(2)));
        CollectionAssert.AreEqual(new[] { "Fold 1 of 2", "Fold 2 of 2" }, networks);
        heldOut.Probabilities(new(3));
        Assert.HasCount(5, networks);
        heldOut.Probabilities(new(3, HoldOut: false));
        Assert.AreEqual("Teacher 3 of 3", networks[^1]);
        StringAssert.StartsWith(lines[0], "Held-out predictions by 2 networks: 0.");
        StringAssert.Contains(lines[0], $"of {Count - 20} images");
    }

    [TestMethod]
    public void Images_of_one_group_are_not_predicted_by_a_network_that_saw_the_group()
    {
        using var scope = NewDisposeScope();
        using var set = Load();
        set.Groups = arange(Count).div(4, RoundingMode.floor).to(ScalarType.Int64).DetachFromDisposeScope();
        var before = Predict(set, folds: 2, validated: true);
        Assert.AreNotEqual(set.Labels[40].item<long>(), set.Labels[41].item<long>());
        Swap(set, 40, 41);
        var after = Predict(set, folds: 2, validated: true);
        foreach (var row in new[] { 40, 41, 42, 43 })
            CollectionAssert.AreEqual(Values(before[row]), Values(after[row]), $"row {row}");
    }

    [TestMethod]
    public void One_group_cannot_be_divided()
    {
        using var scope = NewDisposeScope();
        using var set = Load();
        set.Groups = zeros(Count, ScalarType.Int64).DetachFromDisposeScope();
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidOperationException>(() => Predict(set, folds: 2, validated: true)).Message, "sampling key");
    }

    /// <summary>Two rows of different classes in one fold. If they swap their labels, the division into folds stays as it is.</summary>
    private static (long First, long Second) TwoOfOneFold(ImageSet set, bool validated)
    {
        var fold = Fold();
        for (var i = 0; i < fold.Length; i++)
        {
            for (var j = 0; j < i; j++)
            {
                if (set.Labels[fold[i]].item<long>() == set.Labels[fold[j]].item<long>())
                    continue;
                Swap(set, fold[i], fold[j]);
                var same = Fold().SequenceEqual(fold);
                Swap(set, fold[i], fold[j]);
                if (same)
                    return (fold[i], fold[j]);
            }
        }
        throw new InvalidOperationException("There are no such rows.");

        long[] Fold()
        {
            using var generator = RandomStreams.Create(1, RandomStreams.Purpose.AuxiliaryFolds, 0);
            return new StratifiedSplit(set, Rows(validated), generator).Fold(2)[0].data<long>().ToArray();
        }
    }

    private static void Swap(ImageSet set, long first, long second)
    {
        var (a, b) = (set.Labels[first].item<long>(), set.Labels[second].item<long>());
        set.Labels[first] = b;
        set.Labels[second] = a;
    }

    private static Tensor Rows(bool validated) => arange(validated ? Count - 20 : Count);

    private static Tensor Predict(ImageSet set, int folds, bool validated, long seed = 1) =>
        Predict(set, new Auxiliaries(folds), validated, seed);

    private static Tensor Predict(ImageSet set, Auxiliaries auxiliaries, bool validated = true, long seed = 1)
    {
        using var heldOut = new HeldOutPredictions(Runs(set, validated, seed), Options(), _ => _ => { }, _ => { });
        return heldOut.Probabilities(auxiliaries).clone();
    }

    private static TrainingOptions Options() => new() { Epochs = 3, BatchSize = 16 };

    private static RunFactory Runs(ImageSet set, bool validated, long seed)
    {
        var data = validated
            ? new TrainingData(set, Rows(true), set, arange(Count - 20, Count))
            : new TrainingData(set, Rows(false), null, null);
        return new RunFactory(Architecture.Mlp.WithHiddenSizes(16), 10, data, Normalization, CPU, ScalarType.Float32, seed, () => { });
    }

    private static ImageSet Load() => ImageSetTests.Load(FashionMnistData.Train(TestImages.Context, Count), new ImageSetOptions());

    private static float[] Values(Tensor tensor) => tensor.contiguous().data<float>().ToArray();
}
