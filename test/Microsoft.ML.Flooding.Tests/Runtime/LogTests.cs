using Microsoft.ML.Flooding.Tests.Pipeline;
using Microsoft.ML.Runtime;
using TorchSharp;

namespace Microsoft.ML.Flooding.Tests.Runtime;

/// <summary>What a run logs, and on which device it runs.</summary>
[TestClass]
public sealed class LogTests
{
    private const int MissingGpu = 99;
    private readonly MLContext _context = new(seed: 1);
    private readonly List<LoggingEventArgs> _log = [];

    public LogTests() => _context.Log += (_, e) => _log.Add(e);

    [TestMethod]
    public void The_log_says_device_network_and_every_epoch()
    {
        using var model = ShortRun.Fit(_context, FashionMnistData.Train(_context, 100), o => o.Epochs = 3);
        Assert.IsTrue(Says(torch.cuda.is_available() ? "Computing on GPU 0" : "Computing on the CPU"));
        Assert.IsTrue(Says("Training mlp-32 on 90 images of 28 x 28 x 1, 10 classes, flood level 0.03"));
        for (var epoch = 1; epoch <= 3; epoch++)
        {
            var metrics = model.History.Epochs[epoch - 1];
            Assert.IsTrue(Says(FormattableString.Invariant($"Epoch {epoch} of 3: training loss {metrics.TrainingLoss:0.0000}")));
            Assert.IsTrue(Says(FormattableString.Invariant($"validation loss {metrics.ValidationLoss:0.0000}")));
        }
        Assert.IsFalse(_log.Any(e => e.Kind == ChannelMessageKind.Warning));
    }

    [TestMethod]
    public void A_GPU_that_is_not_there_is_a_warning_where_the_CPU_may_stand_in()
    {
        (_context.GpuDeviceId, _context.FallbackToCpu) = (MissingGpu, true);
        using var model = ShortRun.Fit(_context, FashionMnistData.Train(_context, 50));
        Assert.IsTrue(_log.Any(e => e.Kind == ChannelMessageKind.Warning
            && e.Message.Contains($"GpuDeviceId is {MissingGpu}", StringComparison.Ordinal)
            && e.Message.Contains("Using the CPU", StringComparison.Ordinal)));
    }

    [TestMethod]
    public void A_GPU_that_is_not_there_is_an_error_where_the_CPU_may_not_stand_in()
    {
        (_context.GpuDeviceId, _context.FallbackToCpu) = (MissingGpu, false);
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => ShortRun.Fit(_context, FashionMnistData.Train(_context, 50)));
        StringAssert.Contains(error.Message, $"MLContext.GpuDeviceId is {MissingGpu}");
        StringAssert.Contains(error.Message, "TorchSharp-cuda-windows or TorchSharp-cuda-linux");
        StringAssert.Contains(error.Message, "FallbackToCpu");
    }

    [TestMethod]
    public void Loading_onto_a_GPU_that_is_not_there_is_the_same_error()
    {
        var data = FashionMnistData.Train(_context, 50);
        using var model = ShortRun.Fit(_context, data);
        var zip = SavedModel.Save(_context, model, data.Schema);
        var error = Assert.Throws<Exception>(() => SavedModel.Load(zip, new MLContext { GpuDeviceId = MissingGpu, FallbackToCpu = false }))
            .GetBaseException();
        Assert.IsInstanceOfType<InvalidOperationException>(error);
        StringAssert.Contains(error.Message, $"MLContext.GpuDeviceId is {MissingGpu}");
    }

    [TestMethod]
    [DataRow(2.31f, true)]
    [DataRow(2.30f, false)]
    public void A_level_at_or_above_the_loss_of_guessing_is_a_warning(float level, bool isWarned)
    {
        using var model = ShortRun.Fit(_context, FashionMnistData.Train(_context, 50), o => o.FloodLevel = level);
        Assert.AreEqual(
            isWarned,
            _log.Any(e => e.Kind == ChannelMessageKind.Warning && e.Message.Contains("ln(10) = 2.303", StringComparison.Ordinal)));
    }

    [TestMethod]
    public void First_images_of_other_sizes_are_a_warning_and_the_size_is_logged()
    {
        using var alike = new ImageFiles(20, marginOf: i => i % 3);
        using var icon = new ImageFiles(20, marginOf: i => i == 0 ? 40 : 0);
        using var modelOfAlike = ShortRun.Fit(_context, Encoded(alike));
        Assert.IsTrue(Says("resized to 30 x 30 pixels, from the median size of the first 20 images: 30 x 30"));
        Assert.IsFalse(_log.Any(e => e.Kind == ChannelMessageKind.Warning && e.Message.Contains("pixels", StringComparison.Ordinal)));
        using var model = ShortRun.Fit(_context, Encoded(icon));
        Assert.AreEqual((28, 28), (model.ImageWidth, model.ImageHeight));
        Assert.IsTrue(_log.Any(e => e.Kind == ChannelMessageKind.Warning
            && e.Message.Contains(
                "widths of 28 to 108 and heights of 28 to 108 pixels. All images are resized to 28 x 28", StringComparison.Ordinal)));

        IDataView Encoded(ImageFiles files)
        {
            var rows = _context.Data.LoadFromEnumerable(files.Rows);
            return _context.Transforms.LoadRawImageBytes("Features", files.Folder, "ImagePath")
                .Append(_context.Transforms.Conversion.MapValueToKey("Label", "Class")).Fit(rows).Transform(rows);
        }
    }

    [TestMethod]
    public void What_MLImage_loses_is_a_warning_once()
    {
        using var files = new ImageFiles(20);
        var rows = _context.Data.LoadFromEnumerable(files.Rows);
        var data = _context.Transforms.LoadImages("Features", files.Folder, "ImagePath")
            .Append(_context.Transforms.Conversion.MapValueToKey("Label", "Class")).Fit(rows).Transform(rows);
        using var model = ShortRun.Fit(_context, data);
        var warning = _log.Single(
            e => e.Kind == ChannelMessageKind.Warning && e.Message.Contains("EXIF orientation", StringComparison.Ordinal)).Message;
        StringAssert.Contains(warning, "LoadRawImageBytes");
    }

    [TestMethod]
    public void The_callback_gets_each_epoch_and_the_history_keeps_them()
    {
        var seen = new List<EpochMetrics>();
        using var model = ShortRun.Fit(_context, FashionMnistData.Train(_context, 300), o =>
        {
            (o.Epochs, o.BatchSize) = (4, 32);
            o.FloodLevel = 1.4f;
            o.MetricsCallback = seen.Add;
        });

        CollectionAssert.AreEqual(new[] { 1, 2, 3, 4 }, seen.Select(e => e.Epoch).ToArray());
        CollectionAssert.AreEqual(seen, model.History.Epochs.ToArray());
        Assert.IsLessThan(seen[0].TrainingLoss, seen[3].TrainingLoss, "it learns");
        foreach (var epoch in seen)
        {
            Assert.IsTrue(epoch.TrainingLoss is > 0 and < 5, $"{epoch}");
            Assert.IsLessThanOrEqualTo(epoch.TrainingLoss, epoch.LowestBatchLoss);
            Assert.AreEqual(epoch.LowestBatchLoss < 1.4f, epoch.FloodedShare > 0, $"{epoch}");
            Assert.IsLessThanOrEqualTo(1, epoch.FloodedShare);
            Assert.IsTrue(epoch.ValidationLoss is > 0 and < 5, $"{epoch}");
            Assert.IsTrue(epoch.ValidationAccuracy is >= 0 and <= 1, $"{epoch}");
            Assert.IsTrue(epoch.AveragedValidationLoss is > 0 and < 5, $"{epoch}");
            Assert.IsTrue(epoch.AveragedValidationAccuracy is >= 0 and <= 1, $"{epoch}");
            Assert.AreEqual(0.02, epoch.LearningRate);
            Assert.IsGreaterThan(0, epoch.GradientNorm);
            Assert.IsGreaterThan(0, epoch.ImagesPerSecond);
            Assert.AreEqual(epoch.ValidationLoss - epoch.TrainingLoss, epoch.GeneralizationGap);
        }
        Assert.IsGreaterThan(0, seen[3].FloodedShare, "the level was reached");
    }

    [TestMethod]
    public void Plain_training_without_validation_leaves_its_figures_out()
    {
        using var model = ShortRun.Fit(
            _context, FashionMnistData.Train(_context, 50), o => (o.FloodLevel, o.ValidationSetFraction) = (0, null));
        var epoch = model.History.Epochs[0];
        Assert.AreEqual(0, epoch.FloodedShare);
        Assert.AreEqual((null, null), (epoch.ValidationLoss, epoch.ValidationAccuracy));
        Assert.AreEqual((null, null), (epoch.AveragedValidationLoss, epoch.AveragedValidationAccuracy));
        Assert.IsNull(epoch.GeneralizationGap);
    }

    private bool Says(string text) => _log.Any(e => e.Message.Contains(text, StringComparison.Ordinal));
}
