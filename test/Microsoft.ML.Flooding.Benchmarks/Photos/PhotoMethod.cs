using System.Diagnostics;
using Common;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.Flooding.Benchmarks.Photos;

/// <summary>A way to train a classifier of photos, with the defaults of its library.</summary>
/// <param name="Name">The name that --only selects.</param>
/// <param name="Description">What is trained.</param>
/// <param name="Create">From the training photos, in the columns ImagePath and Label (a key), to a trained model.</param>
internal sealed record PhotoMethod(string Name, string Description, Func<MLContext, IDataView, ITransformer> Create)
{
    private const int FeaturizerSide = 224;
    private const int ScratchSide = 64;

    public static IReadOnlyList<PhotoMethod> All { get; } =
    [
        new("lbfgs", "ML.NET: DnnFeaturizeImage + LbfgsMaximumEntropy", (context, photos) =>
            Featurize(context).Append(context.MulticlassClassification.Trainers.LbfgsMaximumEntropy()).Fit(photos)),
        new("sdca", "ML.NET: DnnFeaturizeImage + SdcaMaximumEntropy", (context, photos) =>
            Featurize(context).Append(context.MulticlassClassification.Trainers.SdcaMaximumEntropy()).Fit(photos)),
        new("scratch", "from scratch, 64 x 64", (context, photos) => Train(context, photos, new()
        {
            ImageWidth = ScratchSide,
            ImageHeight = ScratchSide,
        })),
        new("frozen", "pretrained, frozen backbone", (context, photos) => Train(context, photos, new()
        {
            Architecture = Architecture.FromDnnImageFeaturizerResNet18(),
        })),
        new("all-layers", "pretrained, all layers", (context, photos) => Train(context, photos, new()
        {
            Architecture = Architecture.FromDnnImageFeaturizerResNet18(),
            FineTuning = FineTuning.AllLayers,
        })),
    ];

    /// <summary>Trains on photos and tests on others.</summary>
    public PhotoFigures Measure(IReadOnlyList<ImageFile> training, IReadOnlyList<ImageFile> test, int seed)
    {
        var context = new MLContext(seed);
        var before = ResidentMemory.Now();
        ResidentMemory.ResetPeak();
        var start = Stopwatch.GetTimestamp();
        var photos = context.Data.LoadFromEnumerable(training);
        var labels = context.Transforms.Conversion.MapValueToKey(nameof(ImageFile.Label)).Fit(photos);
        var model = Create(context, labels.Transform(photos));
        var trained = Stopwatch.GetElapsedTime(start);
        var scored = model.Transform(labels.Transform(context.Data.LoadFromEnumerable(test)));
        var metrics = context.MulticlassClassification.Evaluate(scored);
        var figures = new PhotoFigures(
            metrics.MicroAccuracy, metrics.LogLoss, trained.TotalSeconds, Stopwatch.GetElapsedTime(start).TotalSeconds,
            ResidentMemory.Peak() - before);
        (model as IDisposable)?.Dispose();
        return figures;
    }

    /// <summary>The pipeline of ML.NET's sample for DnnFeaturizeImage.</summary>
    public static EstimatorChain<TransformerChain<ColumnCopyingTransformer>> Featurize(MLContext context) =>
        context.Transforms.LoadImages("Image", imageFolder: "", nameof(ImageFile.ImagePath))
            .Append(context.Transforms.ResizeImages("Image", FeaturizerSide, FeaturizerSide))
            .Append(context.Transforms.ExtractPixels("Pixels", "Image"))
            .Append(context.Transforms.DnnFeaturizeImage(
                "Features", m => m.ModelSelector.ResNet18(context, m.OutputColumn, m.InputColumn), "Pixels"));

    private static TransformerChain<FloodedImageClassificationTransformer> Train(
        MLContext context, IDataView photos, FloodedImageClassificationTrainer.Options options)
    {
        options.FeatureColumnName = "Image";
        return context.Transforms.LoadRawImageBytes("Image", imageFolder: "", nameof(ImageFile.ImagePath))
            .Append(context.Transforms.FloodedImageClassification(options)).Fit(photos);
    }
}

/// <summary>What was measured.</summary>
/// <param name="Accuracy">The share of the test photos that are classified correctly.</param>
/// <param name="LogLoss">The mean cross-entropy of the test photos.</param>
/// <param name="TrainingSeconds">From the files to the model.</param>
/// <param name="Seconds">Training and the test.</param>
/// <param name="Bytes">The peak of the resident memory minus what was resident before.</param>
internal readonly record struct PhotoFigures(double Accuracy, double LogLoss, double TrainingSeconds, double Seconds, double Bytes);
