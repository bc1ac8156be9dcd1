using System.Reflection;
using Microsoft.ML.Flooding.Tests.Pipeline;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Runtime;

/// <summary>Runs that end early leave at once and leave nothing behind.</summary>
[TestClass]
public sealed class CancellationTests
{
    private readonly MLContext _context = new(seed: 1);

    [TestMethod]
    public void Cancelling_in_the_callback_ends_the_run_after_that_epoch()
    {
        var epochs = 0;
        Assert.ThrowsExactly<OperationCanceledException>(() => ShortRun.Fit(_context, FashionMnistData.Train(_context, 50), o =>
        {
            o.Epochs = 1000;
            o.MetricsCallback = _ =>
            {
                if (++epochs == 3)
                    Cancel();
            };
        }));
        Assert.AreEqual(3, epochs);
    }

    [TestMethod]
    public void Cancelling_from_another_thread_ends_the_run()
    {
        var data = FashionMnistData.Train(_context, 50);
        using var started = new ManualResetEventSlim();
        var fit = Task.Run(() => ShortRun.Fit(_context, data, o =>
        {
            o.Epochs = int.MaxValue;
            o.MetricsCallback = _ => started.Set();
        }));
        Assert.IsTrue(started.Wait(TimeSpan.FromSeconds(60)));
        Cancel();
        Assert.ThrowsExactly<OperationCanceledException>(() => fit.WaitAsync(TimeSpan.FromSeconds(60)).GetAwaiter().GetResult());
    }

    [TestMethod]
    public void A_cancelled_run_leaves_no_tensor()
    {
        var data = FashionMnistData.Train(_context, 50);
        AssertLeavesNoTensor(context => Assert.ThrowsExactly<OperationCanceledException>(
            () => ShortRun.Fit(context, data, o =>
            {
                o.EarlyStopping = new EarlyStopping();
                o.Epochs = 10;
                o.MetricsCallback = _ => Cancel(context);
            })));
    }

    [TestMethod]
    public void A_callback_that_throws_ends_the_run_with_its_exception_and_leaves_no_tensor()
    {
        var data = FashionMnistData.Train(_context, 50);
        AssertLeavesNoTensor(context =>
        {
            var error = Assert.ThrowsExactly<NotSupportedException>(
                () => ShortRun.Fit(context, data, o => o.MetricsCallback = _ => throw new NotSupportedException("mine")));
            Assert.AreEqual("mine", error.Message);
        });
    }

    [TestMethod]
    public void A_run_whose_loss_explodes_leaves_no_tensor()
    {
        var data = FashionMnistData.Train(_context, 50);
        AssertLeavesNoTensor(context =>
        {
            var error = Assert.ThrowsExactly<InvalidOperationException>(() => ShortRun.Fit(context, data, o => (o.LearningRate, o.BatchSize, o.Epochs) = (1e30, 8, 5)));
            StringAssert.Contains(error.Message, "LearningRate");
            StringAssert.Contains(error.Message, "MaxGradientNorm");
        });
    }

    [TestMethod]
    public void Training_scoring_saving_and_loading_leave_no_tensor_once_the_models_are_disposed_of()
    {
        var data = FashionMnistData.Train(_context, 50);
        AssertLeavesNoTensor(context =>
        {
            using var model = ShortRun.Fit(context, data, o => o.EarlyStopping = new EarlyStopping());
            using var loaded = (IDisposable)SavedModel.Load(SavedModel.Save(context, model, data.Schema), context);
            context.MulticlassClassification.Evaluate(((ITransformer)loaded).Transform(data));
            using var engine = context.Model.CreatePredictionEngine<FashionMnistData.Row, FashionMnistData.Row>(model);
            engine.Predict(FashionMnistData.Rows("train", 1)[0]);
        });
    }

    private static void AssertLeavesNoTensor(Action<MLContext> action)
    {
        action(new MLContext(seed: 1));
        Settle();
        var before = Tensor.TotalCount;
        action(new MLContext(seed: 1));
        Assert.AreEqual(before, Tensor.TotalCount);

        // What earlier tests left to the garbage collector must not be counted as ours.
        static void Settle()
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            GC.Collect();
        }
    }

    private void Cancel() => Cancel(_context);

    /// <summary>ML.NET keeps the method to itself; AutoML calls it.</summary>
    private static void Cancel(MLContext context) =>
        typeof(MLContext).GetMethod("CancelExecution", BindingFlags.Instance | BindingFlags.NonPublic)!.Invoke(context, null);
}
