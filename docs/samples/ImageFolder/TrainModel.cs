using Microsoft.ML;
using Microsoft.ML.Flooding;

namespace ImageFolder;

/// <summary>Trains on a folder of class sub-folders, tests on a fifth of the images, and saves the model.</summary>
internal static class TrainModel
{
    private static readonly string[] Extensions = [".jpg", ".jpeg", ".png"];

    public static void Run(DirectoryInfo data, float floodLevel, int epochs, OnInvalidImage onInvalidImage, FileInfo file)
    {
        // Ctrl-C ends the training, and the model of what was trained is tested and saved.
        using var stop = new CancellationTokenSource();
        Console.CancelKeyPress += (_, e) =>
        {
            e.Cancel = !stop.IsCancellationRequested;
            stop.Cancel();
        };
        var context = new MLContext(seed: 1);
        var images = context.Data.LoadFromEnumerable(Files(data).Select(f => new ImageFile { ImagePath = f.FullName, Label = f.Directory!.Name }));
        var split = context.Data.TrainTestSplit(images, testFraction: 0.2);
        var trainer = context.Transforms.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
        {
            FloodLevel = floodLevel,
            FeatureColumnName = nameof(ModelInput.Image),
            Epochs = epochs,
            OnInvalidImage = onInvalidImage,
            StopToken = stop.Token,
            MetricsCallback = e => Console.WriteLine($"epoch {e.Epoch}: loss {e.TrainingLoss:0.000}, validation accuracy {e.ValidationAccuracy:P1}"),
        });
        // Files are read for training only; the saved model takes the bytes of an image, from wherever they come.
        var read = context.Transforms.LoadRawImageBytes(nameof(ModelInput.Image), null, nameof(ImageFile.ImagePath)).Fit(images);
        using var model = context.Transforms.Conversion.MapValueToKey("Label")
            .Append(trainer)
            .Append(context.Transforms.Conversion.MapKeyToValue(nameof(ModelOutput.Class), "PredictedLabel"))
            .Fit(read.Transform(split.TrainSet));

        foreach (var image in model.OfType<FloodedImageClassificationTransformer>().Single().History.SkippedImages)
            Console.WriteLine($"left out: {image}");

        var metrics = context.MulticlassClassification.Evaluate(model.Transform(read.Transform(split.TestSet)));
        Console.WriteLine($"test accuracy {metrics.MicroAccuracy:P1}, log-loss {metrics.LogLoss:0.000}");
        context.Model.Save(model, context.Data.LoadFromEnumerable<ModelInput>([]).Schema, file.FullName);
        Console.WriteLine($"saved to {file.FullName}");
    }

    private static IEnumerable<FileInfo> Files(DirectoryInfo data) =>
        data.EnumerateDirectories().SelectMany(d => d.EnumerateFiles())
            .Where(f => Extensions.Contains(f.Extension, StringComparer.OrdinalIgnoreCase))
            .OrderBy(f => f.FullName, StringComparer.Ordinal);

    private sealed class ImageFile
    {
        public string ImagePath { get; set; } = "";

        public string Label { get; set; } = "";
    }
}
