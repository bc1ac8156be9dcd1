using Common;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace Noise;

/// <summary>The features of images under the ResNet-18 of ML.NET's DnnImageFeaturizer, computed once and kept in a file.</summary>
internal static class FrozenFeatures
{
    /// <summary>Reads the features of the images of a folder, or computes them.</summary>
    /// <param name="folder">A folder with a folder of images for each class.</param>
    /// <param name="count">The largest number of images, drawn from a fixed seed.</param>
    /// <param name="cache">The file.</param>
    public static Example[] Of(DirectoryInfo folder, int count, string cache)
    {
        if (File.Exists(cache))
            return Read(cache);
        var context = new MLContext();
        ImageFile[] files =
            [.. context.Data.CreateEnumerable<ImageFile>(context.Data.LoadFromImageFolder(folder.FullName), reuseRowObject: false)];
        new Random(0).Shuffle(files);
        files = files[..Math.Min(count, files.Length)];
        string[] classes = [.. files.Select(file => file.Label).Distinct().Order(StringComparer.Ordinal)];
        var data = context.Data.LoadFromEnumerable(files);
        var pipeline = context.Transforms.LoadImages("Image", null, nameof(ImageFile.ImagePath))
            .Append(context.Transforms.ResizeImages("Image", 224, 224))
            .Append(context.Transforms.ExtractPixels("Pixels", "Image"))
            .Append(context.Transforms.DnnFeaturizeImage(
                "Features", featurizer => featurizer.ModelSelector.ResNet18(
                    context, featurizer.OutputColumn, featurizer.InputColumn), "Pixels"));
        Example[] examples =
        [
            .. pipeline.Fit(data).Transform(data).GetColumn<float[]>("Features").Zip(files, (features, file) =>
                new Example { Features = features, Label = (uint)Array.IndexOf(classes, file.Label) }),
        ];
        Write(cache, examples);
        return examples;
    }

    private static Example[] Read(string path)
    {
        using var reader = new BinaryReader(File.OpenRead(path));
        var examples = new Example[reader.ReadInt32()];
        var length = reader.ReadInt32();
        for (var i = 0; i < examples.Length; i++)
        {
            var label = reader.ReadUInt32();
            examples[i] = new Example { Label = label, Features = [.. Enumerable.Range(0, length).Select(_ => reader.ReadSingle())] };
        }
        return examples;
    }

    private static void Write(string path, Example[] examples)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        using var writer = new BinaryWriter(File.Create(path));
        writer.Write(examples.Length);
        writer.Write(examples[0].Features.Length);
        foreach (var example in examples)
        {
            writer.Write(example.Label);
            foreach (var value in example.Features)
                writer.Write(value);
        }
    }
}
