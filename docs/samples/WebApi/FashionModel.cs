using Common;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding;

namespace WebApi;

/// <summary>A small model of clothes, for a server that starts without a model.</summary>
internal static class FashionModel
{
    private const int Side = 28;
    private const int Epochs = 8;

    /// <summary>Trains the model on the first start and returns the path of its file.</summary>
    public static string TrainOnce()
    {
        var path = Path.Combine(AppContext.BaseDirectory, "fashion.zip");
        if (File.Exists(path))
            return path;

        Console.WriteLine("There is no --model: training a model of Fashion-MNIST. Later starts use it.");
        var context = new MLContext(seed: 1);
        var pipeline = context.Transforms.Conversion.MapValueToKey("Label")
            .Append(context.Transforms.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
            {
                FloodLevel = 0.05f,
                Epochs = Epochs,
                Architecture = Architecture.ConvNet.WithBaseWidth(16),
                MetricsCallback = e => Console.WriteLine(
                    $"epoch {e.Epoch} of {Epochs}: validation accuracy {e.AveragedValidationAccuracy:P0}"),
                OnInvalidImage = OnInvalidImage.Skip,
                MaxPixels = Upload.MostPixels,
            }));
        using var model = pipeline.Fit(context.Data.LoadFromEnumerable(ReadGarments(context)));

        // Uploads have no label, so only the classifier is saved, without the label mapping before it.
        context.Model.SaveSafely(model.LastTransformer, null, path);
        return path;
    }

    private static IEnumerable<Garment> ReadGarments(MLContext context)
    {
        var images = IdxFolder.FashionMnist.LoadTrainingSet(context);
        return images.GetColumn<byte[]>("Features").Zip(images.GetColumn<uint>("Label"), (pixels, key) => new Garment
        {
            // Uploads are in color, so each gray pixel becomes three equal channels.
            Features = [.. pixels.SelectMany(pixel => new[] { pixel, pixel, pixel })],
            Label = IdxFolder.FashionMnist.ClassNames![(int)key - 1],
        });
    }

    private sealed class Garment
    {
        [VectorType(Side, Side, 3)]
        public byte[] Features { get; set; } = [];

        public string Label { get; set; } = "";
    }
}
