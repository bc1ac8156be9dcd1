using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

namespace ImageClassifier;

/// <summary>Trains the model.</summary>
public static partial class ImageClassifierModel
{
    /// <summary>Trains on a folder with a subfolder of images for each class, and saves the model.</summary>
    /// <param name="imageFolder">The folder.</param>
    /// <param name="modelPath">The .zip file to write.</param>
    public static void Train(string imageFolder, string modelPath)
    {
        var context = new MLContext(seed: 1);
        context.Log += (_, e) =>
        {
            // One line for each epoch, and the warnings.
            if (e.Kind == ChannelMessageKind.Warning || e.Message.Contains("Epoch ", StringComparison.Ordinal))
                Console.Error.WriteLine(e.Message);
        };
        var data = context.Data.LoadFromImageFolder(imageFolder);
        var model = RetrainModel(context, data);
        SaveModel(context, model, modelPath);
    }

    /// <summary>Trains a new model on data with the columns Label and Features.</summary>
    public static ITransformer RetrainModel(MLContext context, IDataView trainData) =>
        BuildPipeline(context).Fit(trainData);

    /// <summary>Saves a model. An existing file is replaced once the new one is complete.</summary>
    public static void SaveModel(MLContext context, ITransformer model, string modelPath)
    {
        var schema = SchemaDefinition.Create(typeof(ModelInput));
        schema[nameof(ModelInput.Image)].ColumnName = "Features";
        context.Model.SaveSafely(model, context.Data.LoadFromEnumerable<ModelInput>([], schema).Schema, modelPath);
    }

    /// <summary>The labels become keys, the classifier is trained, and its predicted key becomes the name of a class.</summary>
    public static IEstimator<ITransformer> BuildPipeline(MLContext context)
    {
        var options = new FloodedImageClassificationTrainer.Options
        {
            // OPTIONS
        };
        return context.Transforms.Conversion.MapValueToKey("Label", keyOrdinality: ValueToKeyMappingEstimator.KeyOrdinality.ByValue)
            .Append(context.Transforms.FloodedImageClassification(options))
            .Append(context.Transforms.Conversion.MapKeyToValue("PredictedClass", "PredictedLabel"));
    }
}
