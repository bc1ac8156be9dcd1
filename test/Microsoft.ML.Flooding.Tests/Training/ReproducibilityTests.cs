using Microsoft.ML.Flooding.Tests.Pipeline;
using Options = Microsoft.ML.Flooding.FloodedImageClassificationTrainer.Options;

namespace Microsoft.ML.Flooding.Tests.Training;

/// <summary>What the weights depend on, and what they do not depend on.</summary>
[TestClass]
public sealed class ReproducibilityTests : IDisposable
{
    private readonly MLContext _context = new(seed: 1);
    private readonly Threads _threads = Threads.UseAll();

    public void Dispose() => _threads.Dispose();

    [TestMethod]
    public void The_same_seed_gives_the_same_weights() =>
        CollectionAssert.AreEqual(Weights(), Weights());

    [TestMethod]
    public void Another_seed_gives_other_weights() =>
        CollectionAssert.AreNotEqual(Weights(), Weights(o => o.Seed = 2));

    [TestMethod]
    public void Without_a_seed_of_its_own_the_contexts_counts()
    {
        var first = Weights(o => o.Seed = null, new MLContext(seed: 7));
        CollectionAssert.AreEqual(first, Weights(o => o.Seed = null, new MLContext(seed: 7)));
        CollectionAssert.AreEqual(first, Weights(o => o.Seed = 7));
        CollectionAssert.AreNotEqual(first, Weights(o => o.Seed = null, new MLContext(seed: 8)));
    }

    [TestMethod]
    public void Without_any_seed_every_run_is_another_one() =>
        CollectionAssert.AreNotEqual(Weights(o => o.Seed = null, new MLContext()), Weights(o => o.Seed = null, new MLContext()));

    [TestMethod]
    public void A_level_below_every_loss_is_plain_training_to_the_bit()
    {
        var plain = Weights(o => o.FloodLevel = 0);
        var flooded = Weights(o => (o.FloodLevel, o.WeightAveraging) = (1e-4f, WeightAveraging.None));
        CollectionAssert.AreEqual(plain, flooded);
        CollectionAssert.AreNotEqual(plain, Weights(o => (o.FloodLevel, o.WeightAveraging) = (1.8f, WeightAveraging.None)));
    }

    [TestMethod]
    public void Watching_a_run_does_not_change_it() =>
        CollectionAssert.AreEqual(Weights(), Weights(o => o.MetricsCallback = _ => TorchSharp.torch.rand(3).Dispose()));

    [TestMethod]
    public void Later_changes_of_the_options_do_not_reach_the_trainer()
    {
        var options = ShortRun.Options(o => o.FloodLevel = 0.05f);
        var trainer = _context.Transforms.FloodedImageClassification(options);
        options.FloodLevel = 0.5f;
        using var model = trainer.Fit(FashionMnistData.Train(_context, 50));
        Assert.AreEqual(0.05f, model.FloodLevel);
    }

    private static byte[] Weights(Action<Options>? change = null, MLContext? context = null)
    {
        context ??= new MLContext(seed: 1);
        var data = FashionMnistData.Train(context, 200);
        using var model = ShortRun.Fit(context, data, change);
        return SavedModel.Weights(context, model, data.Schema);
    }
}
