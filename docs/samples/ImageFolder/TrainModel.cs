using Microsoft.ML;
using Microsoft.ML.Flooding;

namespace ImageFolder;

/// <summary>Trains on four fifths of the images in a folder, tests on the rest, and saves the model.</summary>
internal static class TrainModel
{
    public static void Run(DirectoryInfo data, float floodLevel, int epochs, OnInvalidImage onInvalidImage, FileInfo file)
    {
        // Ctrl-C stops training early; the model is still tested and saved. A second Ctrl-C ends the program.
        using var stop = new CancellationTokenSource();
        Console.CancelKeyPress += (_, e) =>
        {
            e.Cancel = !stop.IsCancellationRequested;
            stop.Cancel();
        };

        var context = new MLContext(seed: 1);
        var images = context.Data.LoadFromImageFolder(data.FullName);
        var split = context.Data.TrainTestSplit(images, testFraction: 0.2);
        var trainer = context.Transforms.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
        {
            FloodLevel = floodLevel,
            Epochs = epochs,
            OnInvalidImage = onInvalidImage,
            StopToken = stop.Token,
            MetricsCallback = e => Console.WriteLine(
                $"epoch {e.Epoch}: loss {e.TrainingLoss:0.000}, validation accuracy {e.ValidationAccuracy:P1}"),
        });

        using var model = context.Transforms.Conversion.MapValueToKey("Label")
            .Append(trainer)
            .Append(context.Transforms.Conversion.MapKeyToValue(nameof(ModelOutput.Class), "PredictedLabel"))
            .Fit(split.TrainSet);

        foreach (var image in model.OfType<FloodedImageClassificationTransformer>().Single().History.SkippedImages)
            Console.WriteLine($"skipped: {image}");

        var metrics = context.MulticlassClassification.Evaluate(model.Transform(split.TestSet));
        Console.WriteLine($"test accuracy {metrics.MicroAccuracy:P1}, log-loss {metrics.LogLoss:0.000}");

        context.Model.Save(model, images.Schema, file.FullName);
        Console.WriteLine($"saved to {file.FullName}");
    }
}
