using Microsoft.ML;
using Microsoft.ML.Data;

namespace ImageClassifier;

/// <summary>Evaluates the model.</summary>
public static partial class ImageClassifierModel
{
    /// <summary>Compares the predictions for a folder of images with the names of its subfolders.</summary>
    /// <param name="imageFolder">A folder with a subfolder of images for each class.</param>
    public static MulticlassClassificationMetrics Evaluate(string imageFolder)
    {
        var context = new MLContext();
        using var classifier = LoadClassifier(ModelPath);
        var files = context.Data.LoadFromImageFolder(imageFolder);
        var images = context.Transforms.CopyColumns(classifier.FeatureColumnName, "Features").Fit(files).Transform(files);

        // The keys have to be those of the model, in its order.
        var keys = context.Data.LoadFromEnumerable(classifier.Labels.Select(label => new ModelLabel { Label = label }));
        var labeled = context.Transforms.Conversion.MapValueToKey("Label", keyData: keys).Fit(images).Transform(images);
        return context.MulticlassClassification.Evaluate(classifier.Transform(labeled));
    }

    private sealed class ModelLabel
    {
        public string Label { get; set; } = "";
    }
}
