using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Objectives;
using Microsoft.ML.Flooding.Tests.Images;
using Microsoft.ML.Flooding.Tests.Pipeline;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Training;

/// <summary>The training loop: which rows it uses, when, and with which objective.</summary>
[TestClass]
public sealed class TrainingRunTests
{
    private const int Count = 50;

    [TestMethod]
    public void At_level_zero_the_flood_and_the_plain_loss_give_the_same_weights()
    {
        var plain = Run(new Recorder(loss => loss.Mean));
        CollectionAssert.AreEqual(plain, Run(Flood.At(0)));
        CollectionAssert.AreEqual(plain, Run(new Flood(0)), "|J - 0| + 0 is J");
        CollectionAssert.AreNotEqual(plain, Run(new Flood(1.5)));
    }

    [TestMethod]
    public void Each_epoch_takes_every_row_once_in_another_order()
    {
        var recorder = new Recorder(loss => loss.Mean);
        Run(recorder, epochs: 3);
        var orders = recorder.Rows.Chunk(Count).ToArray();
        Assert.HasCount(3, orders);
        foreach (var order in orders)
            CollectionAssert.AreEqual(Enumerable.Range(0, Count).Select(i => (long)i).ToArray(), order.Order().ToArray());
        CollectionAssert.AreNotEqual(orders[0], orders[1]);
        CollectionAssert.AreNotEqual(orders[1], orders[2]);
        CollectionAssert.AreNotEqual(orders[0], orders[0].Order().ToArray(), "the first epoch is shuffled as well");
    }

    [TestMethod]
    public void The_order_follows_the_seed()
    {
        CollectionAssert.AreEqual(Order(1), Order(1));
        CollectionAssert.AreNotEqual(Order(1), Order(2));

        static long[] Order(long seed)
        {
            var recorder = new Recorder(loss => loss.Mean);
            Run(recorder, seed: seed);
            return [.. recorder.Rows];
        }
    }

    [TestMethod]
    public void The_initial_weights_follow_the_seed_alone()
    {
        // A learning rate of almost 0 leaves the weights unchanged.
        CollectionAssert.AreEqual(Run(Flood.At(0), rate: 1e-38, seed: 1), Run(Flood.At(0.5), rate: 1e-38, seed: 1));
        CollectionAssert.AreNotEqual(Run(Flood.At(0), rate: 1e-38, seed: 1), Run(Flood.At(0), rate: 1e-38, seed: 2));
    }

    [TestMethod]
    public void A_run_ends_within_the_step_that_cancels_it()
    {
        var steps = 0;
        var recorder = new Recorder(loss =>
        {
            steps++;
            return loss.Mean;
        });
        Assert.ThrowsExactly<OperationCanceledException>(() => Run(recorder, epochs: 100, checkAlive: () =>
        {
            if (steps == 9)
                throw new OperationCanceledException();
        }));
        Assert.AreEqual(9, steps);
    }

    [TestMethod]
    public void A_single_image_left_over_is_left_out_of_the_epoch()
    {
        var recorder = new Recorder(loss => loss.Mean);
        Run(recorder, epochs: 1, batchSize: 7);
        Assert.HasCount(49, recorder.Rows);
        Assert.HasCount(49, recorder.Rows.Distinct().ToArray());
    }

    [TestMethod]
    public void A_run_ends_after_the_step_that_stops_it_with_a_part_of_an_epoch()
    {
        using var stop = new CancellationTokenSource();
        var steps = 0;
        var recorder = new Recorder(loss =>
        {
            if (++steps == 7)
                stop.Cancel();
            return loss.Mean;
        });
        TrainingHistory? history = null;
        Run(recorder, epochs: 100, stopToken: stop.Token, ended: h => history = h);
        Assert.AreEqual(7, steps);
        Assert.HasCount(2, history!.Epochs);
        Assert.IsTrue(history.Stopped);
        Assert.AreEqual(2, history.SelectedEpoch);
    }

    [TestMethod]
    public void A_run_that_is_over_was_not_stopped()
    {
        using var stop = new CancellationTokenSource();
        var steps = 0;
        TrainingHistory? history = null;
        Run(new Recorder(loss =>
        {
            // The last step of two epochs of five steps.
            if (++steps == 10)
                stop.Cancel();
            return loss.Mean;
        }), stopToken: stop.Token, ended: h => history = h);
        Assert.HasCount(2, history!.Epochs);
        Assert.IsFalse(history.Stopped);
    }

    [TestMethod]
    public void A_run_whose_weights_diverge_in_the_last_step_is_an_error_that_names_it()
    {
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Run(Flood.At(0), epochs: 1, batchSize: Count, rate: 1e39));
        StringAssert.Contains(error.Message, "in epoch 1: after step 1 of 1, 'layers.");
        StringAssert.Contains(error.Message, "is no longer finite");
        StringAssert.Contains(error.Message, "Lower LearningRate (now 1E+39)");
    }

    [TestMethod]
    public void A_run_whose_loss_diverges_names_the_step()
    {
        var steps = 0;
        var recorder = new Recorder(loss => ++steps == 8 ? loss.Mean * float.NaN : loss.Mean);
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Run(recorder));
        StringAssert.Contains(error.Message, "in epoch 2: the loss of step 4 of 5 is NaN");
    }

    private static float[] Run(
        Objective objective, int epochs = 2, long seed = 1, double rate = 0.02, int batchSize = 10, Action? checkAlive = null,
        Action<TrainingHistory>? ended = null, CancellationToken stopToken = default)
    {
        using var scope = NewDisposeScope();
        using var set = ImageSetTests.Load(FashionMnistData.Train(TestImages.Context, Count));
        using var generator = RandomStreams.Create(seed, RandomStreams.Purpose.Weights, 0);
        using var network = ShortRun.Options().Architecture.Create(set.Shape, 10, generator);
        var options = new TrainingOptions
        {
            FloodLevel = 0,
            Epochs = epochs,
            BatchSize = batchSize,
            LearningRate = rate,
            StopToken = stopToken,
        };
        using var run = new TrainingRun(
            network, objective, options, new TrainingData(set, arange(Count, ScalarType.Int64), null, null), new Normalization([73], [90]),
            CPU, ScalarType.Float32, seed, checkAlive ?? (() => { }));
        var history = run.Fit(_ => { }, null);
        ended?.Invoke(history);
        return [.. run.State().Where(s => s.Value.dtype == ScalarType.Float32 && !s.Key.Contains("running", StringComparison.Ordinal))
            .OrderBy(s => s.Key, StringComparer.Ordinal).SelectMany(s => s.Value.detach().contiguous().data<float>().ToArray())];
    }

    private sealed class Recorder(Func<BatchLoss, Tensor> minimised) : Objective
    {
        public List<long> Rows { get; } = [];

        public override Descent Of(BatchLoss loss)
        {
            Rows.AddRange(loss.Rows.data<long>());
            return new(minimised(loss));
        }
    }
}
