using System.IO.Compression;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding;

namespace WebApi;

/// <summary>A small model for whoever brings none: clothes, from the 2,000 images of the Fashion-MNIST sample.</summary>
internal static class FashionModel
{
    private const int Side = 28;
    private const int Epochs = 8;

    private static readonly string[] Names =
        ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];

    /// <summary>Trains it on the first start; returns its file.</summary>
    public static string TrainOnce()
    {
        var path = Path.Combine(AppContext.BaseDirectory, "fashion.zip");
        if (File.Exists(path))
            return path;
        Console.WriteLine("No --model was given: training one on Fashion-MNIST, once.");
        var context = new MLContext(seed: 1);
        var data = context.Data.LoadFromEnumerable(Read());
        var pipeline = context.Transforms.Conversion.MapValueToKey("Label")
            .Append(context.Transforms.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
            {
                FloodLevel = 0.05f,
                Epochs = Epochs,
                Architecture = Architecture.ConvNet.WithBaseWidth(16),
                MetricsCallback = e => Console.WriteLine($"epoch {e.Epoch} of {Epochs}: validation accuracy {e.AveragedValidationAccuracy:P0}"),
                OnInvalidImage = OnInvalidImage.Skip,
                MaxPixels = Upload.MostPixels,
            }));
        using var model = pipeline.Fit(data);

        // What is served takes files, whose label nobody knows: the network alone.
        context.Model.SaveSafely(model.LastTransformer, null, path);
        return path;
    }

    private static IEnumerable<Garment> Read()
    {
        var images = Unpack("train-images-idx3-ubyte.gz");
        var labels = Unpack("train-labels-idx1-ubyte.gz");
        for (var i = 0; i < labels.Length - 8; i++)
        {
            // Uploads are in colour, so the grey pixels are given three times.
            var features = new byte[Side * Side * 3];
            for (var p = 0; p < features.Length; p++)
                features[p] = images[16 + (i * Side * Side) + (p / 3)];
            yield return new Garment { Features = features, Label = Names[labels[8 + i]] };
        }
    }

    private static byte[] Unpack(string file)
    {
        using var stream = new GZipStream(File.OpenRead(Path.Combine(AppContext.BaseDirectory, "data", file)), CompressionMode.Decompress);
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }

    private sealed class Garment
    {
        [VectorType(Side, Side, 3)]
        public byte[] Features { get; set; } = [];

        public string Label { get; set; } = "";
    }
}
