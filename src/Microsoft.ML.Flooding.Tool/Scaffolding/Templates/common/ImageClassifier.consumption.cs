using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding;

namespace ImageClassifier;

/// <summary>Predicts the class of an image. A prediction engine serves one thread at a time; Predict takes turns.</summary>
public static partial class ImageClassifierModel
{
    /// <summary>The model is copied next to the program.</summary>
    public static string ModelPath { get; set; } = Path.Combine(AppContext.BaseDirectory, "ImageClassifier.zip");

    private static readonly Lock Turn = new();

    private static readonly Lazy<FloodedImageClassificationTransformer> Classifier = new(() => LoadClassifier(ModelPath));

    private static readonly Lazy<PredictionEngine<ModelInput, ModelOutput>> Engine = new(() => CreateEngine(Classifier.Value));

    /// <summary>The classes, in the order of the scores.</summary>
    public static IReadOnlyList<string> Labels => Classifier.Value.Labels;

    /// <summary>Predicts the most probable class.</summary>
    /// <param name="input">The image.</param>
    public static ModelOutput Predict(ModelInput input)
    {
        lock (Turn)
            return WithLabel(Engine.Value.Predict(input), Labels);
    }

    /// <summary>The probabilities of all classes, the most probable first.</summary>
    /// <param name="input">The image.</param>
    public static IReadOnlyList<KeyValuePair<string, float>> PredictAllLabels(ModelInput input) => Sort(Predict(input), Labels);

    /// <summary>Sorts the scores of a prediction.</summary>
    public static IReadOnlyList<KeyValuePair<string, float>> Sort(ModelOutput output, IReadOnlyList<string> labels) =>
        [.. labels.Zip(output.Score, KeyValuePair.Create).OrderByDescending(pair => pair.Value)];

    /// <summary>Loads a model and finds the classifier in it.</summary>
    public static FloodedImageClassificationTransformer LoadClassifier(string path)
    {
        var model = new MLContext().Model.LoadSafely(path, out _);
        return model as FloodedImageClassificationTransformer
            ?? ((IEnumerable<ITransformer>)model).OfType<FloodedImageClassificationTransformer>().Single();
    }

    /// <summary>Creates a prediction engine over a classifier that others use as well.</summary>
    public static PredictionEngine<ModelInput, ModelOutput> CreateEngine(FloodedImageClassificationTransformer classifier)
    {
        var columns = SchemaDefinition.Create(typeof(ModelInput));
        columns[nameof(ModelInput.Image)].ColumnName = classifier.FeatureColumnName;
        return new MLContext().Model.CreatePredictionEngine<ModelInput, ModelOutput>(
            classifier, new PredictionEngineOptions { OwnsTransformer = false, InputSchemaDefinition = columns });
    }

    /// <summary>Sets the name of the most probable class.</summary>
    public static ModelOutput WithLabel(ModelOutput output, IReadOnlyList<string> labels)
    {
        output.PredictedLabel = labels[Array.IndexOf(output.Score, output.Score.Max())];
        return output;
    }

    /// <summary>An image and, in training data, its class.</summary>
    public sealed class ModelInput
    {
        public string Label { get; set; } = "";

        /// <summary>The content of a .jpg, .png or other image file.</summary>
        public byte[] Image { get; set; } = [];
    }

    /// <summary>The prediction for an image.</summary>
    public sealed class ModelOutput
    {
        /// <summary>The most probable class.</summary>
        [NoColumn]
        public string PredictedLabel { get; set; } = "";

        /// <summary>The probability of each class, in the order of the labels.</summary>
        public float[] Score { get; set; } = [];
    }
}
