using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Tests.Pipeline;

namespace Microsoft.ML.Flooding.Tests.Training;

[TestClass]
public sealed class CheckpointTests
{
    private string _folder = "";

    [TestInitialize]
    public void CreateFolder() => _folder = Directory.CreateTempSubdirectory("flooding-checkpoints-").FullName;

    [TestCleanup]
    public void DeleteFolder() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    [DataRow(Optimizer.Sgd, Precision.Float32)]
    [DataRow(Optimizer.AdamW, Precision.BFloat16)]
    public void A_cancelled_run_continues_where_it_was(Optimizer optimizer, Precision precision)
    {
        FloodedImageClassificationTrainer.Options Create(string? checkpoints) => new()
        {
            Architecture = Architecture.Mlp.WithHiddenSizes(32),
            Optimizer = optimizer,
            Precision = precision,
            Epochs = 6,
            FloodLevel = 0.5f,
            Schedule = LearningRateSchedule.Cosine,
            EarlyStopping = new EarlyStopping(),
            CheckpointDirectory = checkpoints,
        };
        var expected = Scores(Create(null));
        Assert.ThrowsExactly<OperationCanceledException>(() => Scores(Create(_folder), cancelAfter: 2));
        Assert.HasCount(2, Directory.GetFiles(_folder));

        var epochs = new List<int>();
        var options = Create(_folder);
        options.MetricsCallback = m => epochs.Add(m.Epoch);
        var actual = Scores(options);

        CollectionAssert.AreEqual(new[] { 3, 4, 5, 6 }, epochs);
        CollectionAssert.AreEqual(expected, actual);
    }

    [TestMethod]
    public void Only_the_last_two_epochs_are_kept()
    {
        Scores(Small(5));
        CollectionAssert.AreEqual(
            new[] { "epoch-000004.safetensors", "epoch-000005.safetensors" },
            Directory.GetFiles(_folder).Select(Path.GetFileName).Order().ToArray());
    }

    [TestMethod]
    public void A_checkpoint_of_other_options_or_data_is_refused_with_the_difference()
    {
        Scores(Small(2));
        var options = Small(2);
        options.LearningRate = 0.5;
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Scores(options));
        StringAssert.Contains(error.Message, "LearningRate is 0.5 but was not set", StringComparison.Ordinal);

        error = Assert.ThrowsExactly<InvalidOperationException>(() => Scores(Small(2), images: 300));
        StringAssert.Contains(error.Message, "number of training images is 270 but was 180", StringComparison.Ordinal);
        StringAssert.Contains(error.Message, "other training images", StringComparison.Ordinal);
    }

    [TestMethod]
    [DataRow(2, 6)]
    [DataRow(8, 6)]
    public void A_run_with_another_number_of_epochs_continues_with_the_same_bits(int before, int after)
    {
        FloodedImageClassificationTrainer.Options Create(int epochs, string? checkpoints) => new()
        {
            Architecture = Architecture.Mlp.WithHiddenSizes(16),
            Epochs = epochs,
            FloodLevel = 0.5f,
            Schedule = LearningRateSchedule.Constant with { WarmUpEpochs = 1 },
            WeightAveraging = new WeightAveraging { Decay = 0.9 },
            CheckpointDirectory = checkpoints,
        };
        var expected = Scores(Create(after, null));
        if (before < after)
            Scores(Create(before, _folder));
        else
            Assert.ThrowsExactly<OperationCanceledException>(() => Scores(Create(before, _folder), cancelAfter: 3));

        var epochs = new List<int>();
        var options = Create(after, _folder);
        options.MetricsCallback = m => epochs.Add(m.Epoch);
        CollectionAssert.AreEqual(expected, Scores(options));
        CollectionAssert.AreEqual(Enumerable.Range(Math.Min(before, 3) + 1, after - Math.Min(before, 3)).ToList(), epochs);

        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Scores(Create(after - 1, _folder)));
        StringAssert.Contains(error.Message, "have 6 epochs, but Epochs is 5. Set it to at least 6", StringComparison.Ordinal);
    }

    [TestMethod]
    public void Another_number_of_epochs_is_refused_with_what_depends_on_it()
    {
        Scores(Small(2));
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Scores(Small(3)));
        StringAssert.Contains(
            error.Message, "Epochs is 3 but was 2, which changes the default Decay of WeightAveraging", StringComparison.Ordinal);

        var options = Small(3);
        (options.Schedule, options.Objective) = (LearningRateSchedule.Cosine, FloodingObjective.AdaFlood(folds: 2));
        error = Assert.ThrowsExactly<InvalidOperationException>(() => Scores(options));
        foreach (var part in new[] { "the Schedule", "the default Decay of WeightAveraging", "the auxiliary networks of the Objective" })
            StringAssert.Contains(error.Message, part, StringComparison.Ordinal);
    }

    [TestMethod]
    public void A_damaged_checkpoint_is_named()
    {
        Scores(Small(2));
        var newest = Directory.GetFiles(_folder).Max()!;
        using (var stream = File.OpenWrite(newest))
            stream.SetLength(stream.Length / 2);
        var error = Assert.ThrowsExactly<InvalidDataException>(() => Scores(Small(2)));
        StringAssert.Contains(error.Message, newest, StringComparison.Ordinal);
    }

    [TestMethod]
    public void Without_a_seed_a_continued_run_keeps_the_one_it_began_with()
    {
        Assert.ThrowsExactly<OperationCanceledException>(() => Scores(Small(4), cancelAfter: 2, seed: null));
        var epochs = new List<int>();
        var options = Small(4);
        options.MetricsCallback = m => epochs.Add(m.Epoch);
        Scores(options, seed: null);
        CollectionAssert.AreEqual(new[] { 3, 4 }, epochs);
    }

    /// <summary>The auxiliary networks of AdaFlood write checkpoints before the run does.</summary>
    [TestMethod]
    public void Without_a_seed_a_run_killed_before_its_first_epoch_keeps_its_auxiliary_networks()
    {
        FloodedImageClassificationTrainer.Options Create(Action<EpochMetrics>? callback = null)
        {
            var options = Small(2);
            (options.Objective, options.MetricsCallback) = (FloodingObjective.AdaFlood(folds: 2), callback);
            return options;
        }
        Assert.ThrowsExactly<OperationCanceledException>(() => Scores(Create(_ => throw new OperationCanceledException()), seed: null));
        File.Delete(Path.Combine(_folder, "epoch-000001.safetensors"));
        var files = Directory.GetDirectories(_folder, "fold-*").SelectMany(Directory.GetFiles);
        var written = files.ToDictionary(f => f, File.GetLastWriteTimeUtc);
        Scores(Create(), seed: null);

        Assert.HasCount(4, written);
        foreach (var (file, time) in written)
            Assert.AreEqual(time, File.GetLastWriteTimeUtc(file), file);
    }

    [TestMethod]
    public void A_run_that_finished_no_epoch_binds_nobody()
    {
        Scores(Small(1));
        File.Delete(Path.Combine(_folder, "epoch-000001.safetensors"));
        var options = Small(1);
        options.LearningRate = 0.5;
        Scores(options);
    }

    [TestMethod]
    public void A_loss_that_is_not_finite_ends_the_run_and_leaves_the_last_good_checkpoint()
    {
        var options = Small(50);
        options.LearningRate = 1e18;
        options.FloodLevel = 0;
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Scores(options));
        StringAssert.Matches(
            error.Message, new System.Text.RegularExpressions.Regex(@"epoch \d+: the loss of step \d+ of \d+.*LearningRate"));
        Assert.IsEmpty(Directory.GetFiles(_folder, "*.tmp"));
    }

    private FloodedImageClassificationTrainer.Options Small(int epochs) => new()
    {
        Architecture = Architecture.Mlp.WithHiddenSizes(16),
        Epochs = epochs,
        CheckpointDirectory = _folder,
    };

    private static float[] Scores(
        FloodedImageClassificationTrainer.Options options, int? cancelAfter = null, int images = 200, int? seed = 5)
    {
        var context = new MLContext(seed);
        if (cancelAfter is { } epoch)
            options.MetricsCallback = m =>
            {
                if (m.Epoch == epoch)
                    context.CancelExecution();
            };
        using var model = context.Transforms.FloodedImageClassification(options).Fit(FashionMnistData.Train(context, images));
        return [.. model.Transform(FashionMnistData.Test(context, 20)).GetColumn<float[]>("Score").SelectMany(s => s)];
    }
}
