using Microsoft.ML;
using Microsoft.ML.Flooding;
using Photos;

if (args is not [var folder, ..])
{
    Console.Error.WriteLine("Give a folder that has a subfolder of photos for each class, such as photos/cat/1.jpg and photos/dog/1.jpg.");
    Console.Error.WriteLine("A second argument is a photo to predict. Some dozen photos of each class are enough.");
    return 1;
}

var context = new MLContext(seed: 1);
context.Log += (_, e) =>
{
    if (e.Source.StartsWith("Flooded", StringComparison.Ordinal))
        Console.WriteLine(e.RawMessage);
};
var photos = context.Data.LoadFromImageFolder(folder);
var split = context.Data.TrainTestSplit(photos, testFraction: 0.2);
var pipeline = context.Transforms.Conversion.MapValueToKey("Label")
    .Append(context.Transforms.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
    {
        Architecture = Architecture.FromDnnImageFeaturizerResNet18(),
        OnInvalidImage = OnInvalidImage.Skip,
    }))
    .Append(context.Transforms.Conversion.MapKeyToValue("Class", "PredictedLabel"));
using var model = pipeline.Fit(split.TrainSet);
foreach (var image in model.OfType<FloodedImageClassificationTransformer>().Single().History.SkippedImages)
    Console.WriteLine($"Left out: {image}");

var metrics = context.MulticlassClassification.Evaluate(model.Transform(split.TestSet));
Console.WriteLine($"Test accuracy {metrics.MicroAccuracy:P1}, log-loss {metrics.LogLoss:0.000}");
Console.WriteLine(metrics.ConfusionMatrix.GetFormattedConfusionTable());

// The saved model needs neither the photos nor the package of the weights.
context.Model.Save(model, photos.Schema, "photos.zip");
var loaded = new MLContext().Model.Load("photos.zip", out _);
using var engine = context.Model.CreatePredictionEngine<Photo, Prediction>(loaded);
var path = args.Length > 1 ? args[1] : context.Data.CreateEnumerable<Photo>(split.TestSet, reuseRowObject: false).First().ImagePath;
var prediction = engine.Predict(new Photo { Features = File.ReadAllBytes(path) });
Console.WriteLine($"{path}: {prediction.Class} ({prediction.Score.Max():P0}). The model is in {Path.GetFullPath("photos.zip")}.");
return 0;
