using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Tests.Pipeline;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Runtime;

/// <summary>Runs that end early stop at once and leave nothing behind.</summary>
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
                    _context.CancelExecution();
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
        Assert.IsTrue(started.Wait(TimeSpan.FromMinutes(3)));
        _context.CancelExecution();
        Assert.ThrowsExactly<OperationCanceledException>(() => fit.WaitAsync(TimeSpan.FromMinutes(3)).GetAwaiter().GetResult());
    }

    [TestMethod]
    public void A_cancelled_run_leaves_no_tensor()
    {
        var data = FashionMnistData.Train(_context, 50);
        AssertLeavesNoTensor(networks: 2, context => Assert.ThrowsExactly<OperationCanceledException>(
            () => ShortRun.Fit(context, data, o =>
            {
                o.EarlyStopping = new EarlyStopping();
                o.Epochs = 10;
                o.MetricsCallback = _ => context.CancelExecution();
            })));
    }

    [TestMethod]
    public void A_callback_that_throws_ends_the_run_with_its_exception_and_leaves_no_tensor()
    {
        var data = FashionMnistData.Train(_context, 50);
        AssertLeavesNoTensor(networks: 2, context =>
        {
            var error = Assert.ThrowsExactly<NotSupportedException>(
                () => ShortRun.Fit(context, data, o => o.MetricsCallback = _ => throw new NotSupportedException("mine")));
            Assert.AreEqual("mine", error.Message);
        });
    }

    [TestMethod]
    public void A_run_whose_loss_explodes_says_what_to_do_and_leaves_no_tensor()
    {
        var data = FashionMnistData.Train(_context, 50);
        AssertLeavesNoTensor(networks: 2, context =>
        {
            var error = Assert.ThrowsExactly<InvalidOperationException>(
                () => ShortRun.Fit(context, data, o => (o.LearningRate, o.BatchSize, o.Epochs) = (1e30, 8, 5)));
            StringAssert.Contains(error.Message, "LearningRate");
            StringAssert.Contains(error.Message, "MaxGradientNorm");
        });
    }

    [TestMethod]
    public void Training_leaves_no_tensor_once_the_model_is_disposed_of()
    {
        var data = FashionMnistData.Train(_context, 50);
        AssertLeavesNoTensor(networks: 2, context => ShortRun.Fit(context, data, o => o.EarlyStopping = new EarlyStopping()).Dispose());
    }

    [TestMethod]
    [DataRow(ScoringEngine.LibTorch, 1)]
    [DataRow(ScoringEngine.OnnxRuntime, 0)]
    public void Loading_and_scoring_leave_no_tensor_once_the_model_is_disposed_of(ScoringEngine engine, int networks)
    {
        var data = FashionMnistData.Train(_context, 50);
        using var model = ShortRun.Fit(_context, data);
        var zip = SavedModel.Save(_context, model, data.Schema);
        AssertLeavesNoTensor(networks, context =>
        {
            using var loaded = (FloodedImageClassificationTransformer)SavedModel.Load(zip, context);
            using var scorer = loaded.WithScoringEngine(engine);
            Assert.HasCount(50, scorer.Transform(data).GetColumn<float[]>("Score").ToArray());
        });
    }

    [TestMethod]
    public void Predictions_leave_no_tensor()
    {
        using var model = ShortRun.Fit(_context, FashionMnistData.Train(_context, 50));
        var row = FashionMnistData.Rows("train", 1)[0];
        using var engine = _context.Model.CreatePredictionEngine<FashionMnistData.Row, Scored>(model);
        AssertLeavesNoTensor(networks: 0, _ => Assert.HasCount(10, engine.Predict(row).Score));
    }

    /// <param name="networks">The number of networks of <see cref="ShortRun"/> that the action creates.</param>
    /// <param name="action">Runs twice. The first run warms up.</param>
    private static void AssertLeavesNoTensor(int networks, Action<MLContext> action)
    {
        action(new MLContext(seed: 1));
        var before = LiveTensors.Count();
        action(new MLContext(seed: 1));
        var left = Tensor.TotalCount - before;
        Assert.AreEqual(networks * CountedTwice(), left);
    }

    /// <summary>TorchSharp counts the tensor that becomes a parameter and never subtracts it. It holds no memory.</summary>
    private static long CountedTwice()
    {
        var before = Tensor.TotalCount;
        using (NewDisposeScope())
        using (var generator = new Generator(1))
            ShortRun.Options().Architecture.Create(new ImageShape(28, 28, 1), 10, generator).Dispose();
        return Tensor.TotalCount - before;
    }

    private sealed class Scored
    {
        public float[] Score { get; set; } = [];
    }
}
