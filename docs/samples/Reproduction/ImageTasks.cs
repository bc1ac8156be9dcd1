using System.IO.Compression;
using Microsoft.ML;
using Microsoft.ML.Flooding;

namespace Reproduction;

/// <summary>Sets in MNIST's format, and CIFAR-10.</summary>
internal static class ImageTasks
{
    private const int LabelHeaderLength = 8;

    /// <summary>A set in MNIST's format, a fifth of the training set held out, with clean labels or with some flipped.</summary>
    /// <param name="name">Of the set.</param>
    /// <param name="folder">With train-images-idx3-ubyte.gz and the three others.</param>
    /// <param name="noise">The share of labels that is flipped, in the held-out part as well.</param>
    /// <param name="scratch">A folder for files of flipped labels.</param>
    /// <param name="scale">How large the runs are.</param>
    public static Task Idx(string name, string folder, double noise, DirectoryInfo scratch, Scale scale)
    {
        string File(string file) => Path.Combine(folder, file);
        return new Task(
            $"{name}, {(noise == 0 ? "clean labels" : FormattableString.Invariant($"{100 * noise:0} % of the labels flipped"))}",
            noise == 0 ? scale.CleanLevels : scale.NoisyLevels,
            o =>
            {
                o.Architecture = scale.Perceptron;
                o.Epochs = scale.Epochs;
                o.Schedule = scale.Schedule;
                o.BatchSize = scale.BatchSize;
                o.LearningRate = scale.LearningRate;
                o.ValidationSetFraction = 0.2;
            },
            seed =>
            {
                var data = new MLContext().Data;
                var labels = File("train-labels-idx1-ubyte.gz");
                return new Sets(
                    data.LoadFromIdx(File("train-images-idx3-ubyte.gz"), noise == 0 ? labels : Flip(labels, noise, seed, scratch)), null,
                    data.LoadFromIdx(File("t10k-images-idx3-ubyte.gz"), File("t10k-labels-idx1-ubyte.gz")));
            });
    }

    /// <summary>CIFAR-10 from JPEG files, a folder a class; 15 % held out, as the paper has it where it augments.</summary>
    /// <param name="folder">With the folders train and test.</param>
    /// <param name="scale">How large the runs are.</param>
    public static Task Cifar10(string folder, Scale scale)
    {
        var context = new MLContext();
        var keys = context.Transforms.Conversion.MapValueToKey("Label", nameof(ImageFile.Class), keyOrdinality: Microsoft.ML.Transforms.ValueToKeyMappingEstimator.KeyOrdinality.ByValue)
            .Append(context.Transforms.LoadRawImageBytes("Features", null, nameof(ImageFile.Path)))
            .Fit(context.Data.LoadFromEnumerable(Files("train", 0)));
        IDataView View(IEnumerable<ImageFile> rows) => keys.Transform(context.Data.LoadFromEnumerable(rows));
        return new Task(
            $"CIFAR-10, {scale.CifarImages:n0} images", scale.CleanLevels,
            o =>
            {
                o.Architecture = scale.CifarNetwork;
                o.Epochs = scale.Epochs;
                o.Schedule = scale.Schedule;
                o.BatchSize = scale.BatchSize;
                o.LearningRate = scale.LearningRate;
                o.Augmentation = Augmentation.Small;
                o.ValidationSetFraction = 0.15;
                (o.ImageWidth, o.ImageHeight) = (32, 32);
            },
            seed => new Sets(View(Files("train", seed)[..scale.CifarImages]), null, View(Files("test", seed))));

        ImageFile[] Files(string part, int seed)
        {
            var found = Directory.GetFiles(Path.Combine(folder, part), "*.jpg", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
                .Select(f => new ImageFile { Path = f, Class = System.IO.Path.GetFileName(System.IO.Path.GetDirectoryName(f))! }).ToArray();
            new Random(seed).Shuffle(found);
            return found;
        }
    }

    /// <summary>A file of labels with a share replaced by another class, each other class being as likely.</summary>
    private static string Flip(string labelsFile, double share, int seed, DirectoryInfo scratch)
    {
        using var gzip = new GZipStream(File.OpenRead(labelsFile), CompressionMode.Decompress);
        using var memory = new MemoryStream();
        gzip.CopyTo(memory);
        var bytes = memory.ToArray();
        var labels = bytes.AsSpan(LabelHeaderLength);
        var random = new Random(seed);
        foreach (ref var label in labels)
            if (random.NextDouble() < share)
                label = (byte)((label + random.Next(1, 10)) % 10);
        var path = Path.Combine(scratch.FullName, $"labels-of-seed-{seed}");
        File.WriteAllBytes(path, bytes);
        return path;
    }

    private sealed class ImageFile
    {
        public string Path { get; set; } = "";

        public string Class { get; set; } = "";
    }
}
