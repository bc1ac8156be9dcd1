using Microsoft.ML;
using Microsoft.ML.Flooding;
using Spectre.Console;

namespace FashionMnist;

/// <summary>Does what an application does: trains and saves a pipeline, then loads it and predicts.</summary>
internal static class SavedModel
{
    /// <summary>Trains a pipeline with flooding, and saves it and a report of the training.</summary>
    public static void Train(Setting setting, int epochs, string file, string report)
    {
        var context = new MLContext(seed: 1);
        var options = new FloodedImageClassificationTrainer.Options
        {
            FloodLevel = setting.FloodLevel,
            Architecture = Architecture.Mlp,
            Epochs = epochs,
            ValidationSet = setting.Images.Validation,
        };
        var pipeline = context.Transforms.FloodedImageClassification(options)
            .Append(context.Transforms.Conversion.MapKeyToValue("PredictedClass", "PredictedLabel"))
            .Append(context.Transforms.Conversion.MapKeyToValue("TrueClass", "Label"));
        using var model = pipeline.Fit(setting.Images.Train);
        context.Model.Save(model, setting.Images.Train.Schema, file);
        model.OfType<FloodedImageClassificationTransformer>().Single().History.SaveReport(report);
    }

    /// <summary>Loads a saved model into a new context and predicts the first ten test images.</summary>
    public static void Predict(string file, IDataView test)
    {
        var context = new MLContext();
        var model = context.Model.Load(file, out _);
        var predictions = model.Transform(context.Data.TakeRows(test, 10));
        var metrics = context.MulticlassClassification.Evaluate(model.Transform(test));
        var table = new Table().RoundedBorder().Title("the first ten test images")
            .AddColumns("true", "predicted", "probability", "");
        foreach (var row in context.Data.CreateEnumerable<Prediction>(predictions, reuseRowObject: false))
            table.AddRow(row.TrueClass, row.PredictedClass, $"{row.Score.Max():P0}", row.TrueClass == row.PredictedClass ? "" : "wrong");
        AnsiConsole.Write(table);
        AnsiConsole.MarkupLineInterpolated(
            $"{Path.GetFileName(file)}, loaded again: test accuracy {metrics.MicroAccuracy:P1}, log-loss {metrics.LogLoss:0.000}");
        (model as IDisposable)?.Dispose();
    }

    private sealed class Prediction
    {
        public float[] Score { get; set; } = [];

        public string PredictedClass { get; set; } = "";

        public string TrueClass { get; set; } = "";
    }
}
