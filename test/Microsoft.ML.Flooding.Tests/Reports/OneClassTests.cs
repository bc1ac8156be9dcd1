using Microsoft.ML.Flooding.Tests.Pipeline;

namespace Microsoft.ML.Flooding.Tests.Reports;

/// <summary>
/// A model with one class has a loss of 0 from the start, and everything that works with a model works with it. ML.NET's Evaluate refuses
/// such a model, so there is no confusion matrix.
/// </summary>
[TestClass]
public sealed class OneClassTests
{
    [TestMethod]
    [DataRow(0f, false)]
    [DataRow(0.1f, false)]
    [DataRow(0f, true)]
    public void Reports_figures_and_plots_are_there(float floodLevel, bool search)
    {
        var context = new MLContext(seed: 1);
        var rows = FashionMnistData.Rows("train", 200).Where(r => r.Class == "Boot");
        var data = context.Transforms.Conversion.MapValueToKey("Label", "Class")
            .Fit(context.Data.LoadFromEnumerable(rows)).Transform(context.Data.LoadFromEnumerable(rows));
        using var model = ShortRun.Fit(context, data, o =>
        {
            (o.FloodLevel, o.Epochs, o.FitTemperature, o.ValidationSetFraction) = (floodLevel, 6, true, 0.3);
            o.FloodLevels = search ? FloodLevels.Adaptive : null;
        });
        var scored = model.Transform(data);
        var options = new ReportOptions
        {
            Calibration = context.MulticlassClassification.EvaluateCalibration(scored),
            Labels = model.Labels,
        };
        Assert.AreEqual(0, options.Calibration.ExpectedCalibrationError);
        Assert.AreEqual(0, model.LossLandscape(data).Sharpness);
        var folder = Directory.CreateTempSubdirectory("flooding-one-class-");
        try
        {
            var report = Path.Combine(folder.FullName, "report.html");
            model.History.SaveReport(report, options);
            StringAssert.Contains(File.ReadAllText(report), "<svg");
            model.History.SavePlots(folder.FullName, options);
            Assert.IsTrue(File.Exists(Path.Combine(folder.FullName, "losses.png")));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
