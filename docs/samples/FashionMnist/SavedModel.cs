using Microsoft.ML;
using Microsoft.ML.Flooding;
using Spectre.Console;

namespace FashionMnist;

/// <summary>What an application does: train a pipeline and save it; load it elsewhere and predict.</summary>
internal static class SavedModel
{
    /// <summary>Trains a flooded pipeline and saves it.</summary>
    public static void Train(Images images, int epochs, string file)
    {
        var context = new MLContext(seed: 1);
        var options = new FloodedImageClassificationTrainer.Options
        {
            FloodLevel = 0.2f,
            Architecture = Architecture.Mlp,
            Epochs = epochs,
            ValidationSet = images.Validation,
        };
        var pipeline = context.Transforms.FloodedImageClassification(options)
            .Append(context.Transforms.Conversion.MapKeyToValue("PredictedClass", "PredictedLabel"))
            .Append(context.Transforms.Conversion.MapKeyToValue("TrueClass", "Label"));
        using var model = pipeline.Fit(images.Train);
        context.Model.Save(model, images.Train.Schema, file);
    }

    /// <summary>Loads a saved model in a new context and predicts the first ten test images.</summary>
    public static void Predict(string file, IDataView test)
    {
        var context = new MLContext();
        var model = context.Model.Load(file, out _);
        var predictions = model.Transform(context.Data.TakeRows(test, 10));
        var metrics = context.MulticlassClassification.Evaluate(model.Transform(test));
        var table = new Table().RoundedBorder().Title($"{Path.GetFileName(file)} loaded again: {metrics.MicroAccuracy:P1} of the test set, its first ten images")
            .AddColumns("true", "predicted", "probability", "");
        foreach (var row in context.Data.CreateEnumerable<Prediction>(predictions, reuseRowObject: false))
            table.AddRow(row.TrueClass, row.PredictedClass, $"{row.Score.Max():P0}", row.TrueClass == row.PredictedClass ? "" : "wrong");
        AnsiConsole.Write(table);
        (model as IDisposable)?.Dispose();
    }

    private sealed class Prediction
    {
        public float[] Score { get; set; } = [];

        public string PredictedClass { get; set; } = "";

        public string TrueClass { get; set; } = "";
    }
}
