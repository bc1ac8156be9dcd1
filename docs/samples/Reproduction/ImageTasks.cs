using System.IO.Compression;
using Microsoft.ML;
using Microsoft.ML.Flooding;

namespace Reproduction;

/// <summary>Fashion-MNIST and CIFAR-10.</summary>
internal static class ImageTasks
{
    private const int LabelHeaderLength = 8;

    /// <summary>Fashion-MNIST from IDX files, a tenth of the training set held out, with clean labels and with some flipped.</summary>
    /// <param name="folder">With train-images-idx3-ubyte.gz and the three others.</param>
    /// <param name="noise">The share of labels that is flipped, in training and validation set alike.</param>
    /// <param name="scale">How large the runs are.</param>
    public static Task FashionMnist(string folder, double noise, Scale scale)
    {
        var context = new MLContext();
        string File(string name) => Path.Combine(folder, name);
        var labels = noise == 0 ? File("train-labels-idx1-ubyte.gz") : Flip(File("train-labels-idx1-ubyte.gz"), noise);
        var train = context.Data.LoadFromIdx(File("train-images-idx3-ubyte.gz"), labels);
        var test = context.Data.LoadFromIdx(File("t10k-images-idx3-ubyte.gz"), File("t10k-labels-idx1-ubyte.gz"));
        var count = (long)(train.GetRowCount() ?? throw new InvalidDataException("The number of images is not known."));
        return new Task(
            $"Fashion-MNIST, {count:n0} images, {(noise == 0 ? "clean labels" : FormattableString.Invariant($"{100 * noise:0} % of the labels flipped"))}",
            context.Data.TakeRows(train, count - count / 10), context.Data.SkipRows(train, count - count / 10), test,
            noise == 0 ? scale.CleanLevels : scale.NoisyLevels, o =>
            {
                o.Architecture = Architecture.Mlp;
                o.Epochs = scale.Epochs;
                o.Schedule = scale.Schedule;
                o.BatchSize = 128;
                o.LearningRate = 0.01;
            });
    }

    /// <summary>CIFAR-10 from JPEG files, a folder a class.</summary>
    /// <param name="folder">With the folders train and test.</param>
    /// <param name="scale">How large the runs are.</param>
    public static Task Cifar10(string folder, Scale scale)
    {
        var context = new MLContext();
        var files = Files("train");
        var train = files[..scale.CifarImages];
        var held = train.Length / 10;
        var keys = context.Transforms.Conversion.MapValueToKey("Label", nameof(ImageFile.Class), keyOrdinality: Microsoft.ML.Transforms.ValueToKeyMappingEstimator.KeyOrdinality.ByValue)
            .Append(context.Transforms.LoadRawImageBytes("Features", null, nameof(ImageFile.Path)))
            .Fit(context.Data.LoadFromEnumerable(files));
        IDataView View(IEnumerable<ImageFile> rows) => keys.Transform(context.Data.LoadFromEnumerable(rows));
        return new Task($"CIFAR-10, {train.Length:n0} images", View(train[held..]), View(train[..held]), View(Files("test")), scale.CleanLevels, o =>
        {
            o.Architecture = scale.CifarNetwork;
            o.Epochs = scale.Epochs;
            o.Schedule = scale.Schedule;
            o.BatchSize = 128;
            o.LearningRate = scale.CifarLearningRate;
            o.Augmentation = Augmentation.Small;
            (o.ImageWidth, o.ImageHeight) = (32, 32);
        });

        ImageFile[] Files(string part)
        {
            var found = Directory.GetFiles(Path.Combine(folder, part), "*.jpg", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
                .Select(f => new ImageFile { Path = f, Class = System.IO.Path.GetFileName(System.IO.Path.GetDirectoryName(f))! }).ToArray();
            new Random(7).Shuffle(found);
            return found;
        }
    }

    /// <summary>A file of labels with a share replaced by another class, each other class being as likely.</summary>
    private static string Flip(string labelsFile, double share)
    {
        using var gzip = new GZipStream(File.OpenRead(labelsFile), CompressionMode.Decompress);
        using var memory = new MemoryStream();
        gzip.CopyTo(memory);
        var bytes = memory.ToArray();
        var labels = bytes.AsSpan(LabelHeaderLength);
        var random = new Random(7);
        foreach (ref var label in labels)
            if (random.NextDouble() < share)
                label = (byte)((label + random.Next(1, 10)) % 10);
        var path = Path.Combine(Directory.CreateTempSubdirectory("flooding-reproduction-").FullName, "train-labels-idx1-ubyte");
        File.WriteAllBytes(path, bytes);
        return path;
    }

    private sealed class ImageFile
    {
        public string Path { get; set; } = "";

        public string Class { get; set; } = "";
    }
}
