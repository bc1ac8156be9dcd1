using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Tests.Pipeline;

namespace Microsoft.ML.Flooding.Tests.Training;

/// <summary>A stopped run ends early and keeps its model.</summary>
[TestClass]
public sealed class StoppingTests
{
    private readonly MLContext _context = new(seed: 1);

    [TestMethod]
    public void Stopping_in_the_callback_gives_the_model_of_a_run_of_so_many_epochs()
    {
        var data = FashionMnistData.Train(_context, 100);
        using var stop = new CancellationTokenSource();
        using var stopped = ShortRun.Fit(_context, data, o =>
        {
            (o.Epochs, o.WeightAveraging, o.StopToken) = (1000, WeightAveraging.None, stop.Token);
            o.MetricsCallback = m =>
            {
                if (m.Epoch == 3)
                    stop.Cancel();
            };
        });
        Assert.HasCount(3, stopped.History.Epochs);
        Assert.IsTrue(stopped.History.Stopped);
        Assert.AreEqual(3, stopped.History.SelectedEpoch);
        using var whole = ShortRun.Fit(_context, data, o => (o.Epochs, o.WeightAveraging) = (3, WeightAveraging.None));
        Assert.IsFalse(whole.History.Stopped);
        CollectionAssert.AreEqual(SavedModel.Weights(_context, whole, data.Schema), SavedModel.Weights(_context, stopped, data.Schema));
        using var loaded = (FloodedImageClassificationTransformer)SavedModel.Load(SavedModel.Save(_context, stopped, data.Schema));
        Assert.IsTrue(loaded.History.Stopped);
    }

    [TestMethod]
    public void Stopping_from_another_thread_gives_a_model()
    {
        var data = FashionMnistData.Train(_context, 50);
        using var stop = new CancellationTokenSource();
        using var started = new ManualResetEventSlim();
        var log = new List<string>();
        _context.Log += (_, e) => log.Add(e.Message);
        var fit = Task.Run(() => ShortRun.Fit(_context, data, o =>
        {
            (o.Epochs, o.BatchSize, o.StopToken) = (int.MaxValue, 2, stop.Token);
            o.MetricsCallback = _ => started.Set();
        }));
        Assert.IsTrue(started.Wait(TimeSpan.FromMinutes(3)));
        stop.Cancel();
        using var model = fit.WaitAsync(TimeSpan.FromMinutes(3)).GetAwaiter().GetResult();
        Assert.IsTrue(model.History.Stopped);
        Assert.IsTrue(model.Transform(data).GetColumn<float[]>("Score").SelectMany(s => s).All(float.IsFinite));
        Assert.IsTrue(log.Any(m => m.Contains("Training was stopped", StringComparison.Ordinal)));
    }

    [TestMethod]
    public void With_early_stopping_the_model_is_that_of_the_best_epoch()
    {
        using var stop = new CancellationTokenSource();
        using var model = ShortRun.Fit(_context, FashionMnistData.Train(_context, 100), o =>
        {
            (o.Epochs, o.LearningRate, o.BatchSize, o.FloodLevel) = (1000, 0.2, 8, 0);
            o.EarlyStopping = new EarlyStopping { Metric = ValidationMetric.LogLoss, Patience = 1000 };
            o.StopToken = stop.Token;
            o.MetricsCallback = m =>
            {
                if (m.Epoch == 12)
                    stop.Cancel();
            };
        });
        Assert.HasCount(12, model.History.Epochs);
        Assert.AreEqual(model.History.Epochs.MinBy(e => e.ValidationLoss)!.Epoch, model.History.SelectedEpoch);
    }

    [TestMethod]
    public void A_run_that_was_stopped_continues_with_the_same_bits()
    {
        var folder = Directory.CreateTempSubdirectory("flooding-stop-").FullName;
        try
        {
            var data = FashionMnistData.Train(_context, 100);
            using var undisturbed = ShortRun.Fit(_context, data, o => o.Epochs = 6);
            using var stop = new CancellationTokenSource();
            using var stopped = ShortRun.Fit(_context, data, o =>
            {
                (o.Epochs, o.CheckpointDirectory, o.StopToken) = (6, folder, stop.Token);
                o.MetricsCallback = m =>
                {
                    if (m.Epoch == 2)
                        stop.Cancel();
                };
            });
            Assert.HasCount(2, stopped.History.Epochs);
            using var continued = ShortRun.Fit(_context, data, o => (o.Epochs, o.CheckpointDirectory) = (6, folder));
            Assert.IsFalse(continued.History.Stopped);
            CollectionAssert.AreEqual(
                SavedModel.Weights(_context, undisturbed, data.Schema), SavedModel.Weights(_context, continued, data.Schema));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    public void Stopping_before_training_begins_is_a_cancellation()
    {
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        var data = FashionMnistData.Train(_context, 50);
        Assert.ThrowsExactly<OperationCanceledException>(() => ShortRun.Fit(_context, data, o => o.StopToken = stop.Token));
    }

    [TestMethod]
    public void Stopping_while_auxiliary_networks_are_trained_is_a_cancellation()
    {
        using var stop = new CancellationTokenSource();
        _context.Log += (_, e) =>
        {
            if (e.Message.Contains("Training mlp", StringComparison.Ordinal))
                stop.CancelAfter(TimeSpan.FromMilliseconds(200));
        };
        Assert.ThrowsExactly<OperationCanceledException>(() => ShortRun.Fit(_context, FashionMnistData.Train(_context, 100), o =>
            (o.Epochs, o.BatchSize, o.Objective, o.StopToken) = (100_000, 2, FloodingObjective.AdaFlood(), stop.Token)));
    }
}
