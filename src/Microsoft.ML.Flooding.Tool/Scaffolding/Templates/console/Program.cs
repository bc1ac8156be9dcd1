using ImageClassifier;

switch (args)
{
    case ["train", var folder]:
        ImageClassifierModel.Train(folder, "ImageClassifier.zip");
        Console.WriteLine("Wrote ImageClassifier.zip");
        break;

    case ["evaluate", var folder]:
        var metrics = ImageClassifierModel.Evaluate(folder);
        Console.WriteLine($"accuracy {metrics.MicroAccuracy:P1}, log-loss {metrics.LogLoss:0.000}");
        break;

    case [_, ..]:
        foreach (var path in args)
        {
            var scores = ImageClassifierModel.PredictAllLabels(new() { Image = File.ReadAllBytes(path) });
            Console.WriteLine($"{path}: {string.Join(", ", scores.Take(3).Select(score => $"{score.Key} {score.Value:P1}"))}");
        }
        break;

    default:
        if (File.Exists(ImageClassifierModel.ModelPath))
            Console.WriteLine($"The model knows these classes: {string.Join(", ", ImageClassifierModel.Labels)}.");
        Console.WriteLine("""
            Usage: dotnet run -- IMAGE...          predicts the classes of image files
                   dotnet run -- train FOLDER      trains on a folder with a subfolder of images for each class
                   dotnet run -- evaluate FOLDER   evaluates the model on such a folder
            """);
        break;
}
