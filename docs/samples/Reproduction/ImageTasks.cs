using Common;
using Microsoft.ML;
using Microsoft.ML.Flooding;
using Microsoft.ML.Transforms;

namespace Reproduction;

/// <summary>Tasks on data sets in the format of MNIST, and on CIFAR-10.</summary>
internal static class ImageTasks
{
    /// <summary>Creates a task on a data set in the format of MNIST. A fifth of the training set is held out for validation.</summary>
    /// <param name="name">The name of the data set.</param>
    /// <param name="folder">The data set.</param>
    /// <param name="noise">The share of the training labels to flip, those held out included. 0 keeps all labels.</param>
    /// <param name="scratch">A folder for the files with flipped labels.</param>
    /// <param name="scale">The size of the runs.</param>
    public static Task Idx(string name, IdxFolder folder, double noise, DirectoryInfo scratch, Scale scale) => new(
        $"{name}, {(noise == 0 ? "clean labels" : FormattableString.Invariant($"{100 * noise:0} % of the labels flipped"))}",
        noise == 0 ? scale.CleanLevels : scale.NoisyLevels,
        o =>
        {
            scale.Configure(o);
            o.Architecture = scale.Perceptron;
            o.ValidationSetFraction = 0.2;
        },
        seed =>
        {
            var context = new MLContext();
            var labels = noise == 0 ? null : Flip(folder, noise, seed, scratch);
            return new Sets(folder.LoadTrainingSet(context, labels), null, folder.LoadTestSet(context));
        });

    /// <summary>Creates a task on CIFAR-10. 15 % of the training set is held out, as in the paper's runs with augmentation.</summary>
    /// <param name="folder">A folder with JPEG files in train/CLASS and test/CLASS.</param>
    /// <param name="scale">The size of the runs.</param>
    public static Task Cifar10(string folder, Scale scale)
    {
        var context = new MLContext();
        var pipeline = context.Transforms.Conversion
            .MapValueToKey("Label", keyOrdinality: ValueToKeyMappingEstimator.KeyOrdinality.ByValue)
            .Append(context.Transforms.LoadRawImageBytes("Features", null, nameof(ImageFile.ImagePath)))
            .Fit(context.Data.LoadFromEnumerable(Files("train", 0)));
        return new Task(
            $"CIFAR-10, {scale.CifarImages:n0} images",
            scale.CleanLevels,
            o =>
            {
                scale.Configure(o);
                o.Architecture = scale.CifarNetwork;
                o.Augmentation = Augmentation.Small;
                o.ValidationSetFraction = 0.15;
                (o.ImageWidth, o.ImageHeight) = (32, 32);
            },
            seed => new Sets(View(Files("train", seed).Take(scale.CifarImages)), null, View(Files("test", seed))));

        ImageFile[] Files(string part, int seed)
        {
            var images = context.Data.LoadFromImageFolder(Path.Combine(folder, part));
            ImageFile[] files = [.. context.Data.CreateEnumerable<ImageFile>(images, reuseRowObject: false)];
            new Random(seed).Shuffle(files);
            return files;
        }

        IDataView View(IEnumerable<ImageFile> files) => pipeline.Transform(context.Data.LoadFromEnumerable(files));
    }

    /// <summary>Writes a file of labels with a share of them changed to another class. Every other class is equally likely.</summary>
    private static string Flip(IdxFolder folder, double share, int seed, DirectoryInfo scratch)
    {
        var path = Path.Combine(scratch.FullName, $"labels-of-seed-{seed}");
        folder.WriteTrainingLabels(path, labels =>
        {
            var random = new Random(seed);
            foreach (ref var label in labels)
                if (random.NextDouble() < share)
                    label = (byte)((label + random.Next(1, 10)) % 10);
        });
        return path;
    }
}
