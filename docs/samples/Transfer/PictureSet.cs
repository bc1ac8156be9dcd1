using Common;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding;

namespace Transfer;

/// <summary>Images of ten classes. Two classes are new: a model learns them after the other eight.</summary>
internal sealed class PictureSet
{
    private readonly MLContext _context = new(seed: 1);
    private readonly DataViewType _imageType;

    private PictureSet(
        string name, Architecture network, DataViewType imageType, Picture[] train, Picture[] test, IReadOnlyList<string> newClasses)
    {
        var known = train.Select(p => p.Class).Distinct().Order(StringComparer.Ordinal).ToArray();
        var unknown = newClasses.Except(known).ToArray();
        if (unknown.Length > 0)
            throw new ArgumentException($"{name} has no class {string.Join(", ", unknown)}. Choose two of {string.Join(", ", known)}.");
        (Name, Network, _imageType, Train, Test, NewClasses) = (name, network, imageType, train, test, newClasses);
    }

    public string Name { get; }

    /// <summary>The network for images of this size. It is narrow, so that the sample takes minutes on two cores.</summary>
    public Architecture Network { get; }

    public IReadOnlyList<string> NewClasses { get; }

    public IReadOnlyList<Picture> Train { get; }

    public IReadOnlyList<Picture> Test { get; }

    /// <summary>Loads the part of Fashion-MNIST in this repository: 2,000 training and 1,000 test images.</summary>
    public static PictureSet FashionMnist(IReadOnlyList<string> newClasses)
    {
        var context = new MLContext();
        return new PictureSet(
            "Fashion-MNIST", Architecture.ConvNet.WithBaseWidth(8), new VectorDataViewType(NumberDataViewType.Byte, 28, 28, 1),
            Pictures(IdxFolder.FashionMnist.LoadTrainingSet(context)), Pictures(IdxFolder.FashionMnist.LoadTestSet(context)), newClasses);

        static Picture[] Pictures(IDataView view) =>
        [
            .. view.GetColumn<byte[]>("Features").Zip(
                view.GetColumn<uint>("Label"),
                (pixels, key) => new Picture { Features = pixels, Class = IdxFolder.FashionMnist.ClassNames![(int)key - 1] }),
        ];
    }

    /// <summary>Loads CIFAR-10 from JPEG files in train/CLASS and test/CLASS.</summary>
    /// <param name="folder">The folder that has the folders train and test.</param>
    /// <param name="perClass">The most training images, and the most test images, of each class.</param>
    /// <param name="newClasses">The two classes to learn last.</param>
    public static PictureSet Cifar10(DirectoryInfo folder, int perClass, IReadOnlyList<string> newClasses)
    {
        var context = new MLContext();
        return new PictureSet(
            "CIFAR-10", Architecture.ConvNet.WithBaseWidth(16), new VectorDataViewType(NumberDataViewType.Byte),
            Pictures("train"), Pictures("test"), newClasses);

        Picture[] Pictures(string part) =>
        [
            .. context.Data.CreateEnumerable<ImageFile>(
                    context.Data.LoadFromImageFolder(Path.Combine(folder.FullName, part)), reuseRowObject: false)
                .GroupBy(file => file.Label)
                .SelectMany(files => files.Take(perClass))
                .Select(file => new Picture { Features = File.ReadAllBytes(file.ImagePath), Class = file.Label }),
        ];
    }

    public bool IsNew(Picture picture) => NewClasses.Contains(picture.Class);

    /// <summary>Puts the pictures into the columns Features and Label.</summary>
    public IDataView View(IEnumerable<Picture> pictures)
    {
        var schema = SchemaDefinition.Create(typeof(Picture));
        schema[nameof(Picture.Features)].ColumnType = _imageType;
        var rows = _context.Data.LoadFromEnumerable(pictures, schema);
        return _context.Transforms.Conversion.MapValueToKey("Label", nameof(Picture.Class)).Fit(rows).Transform(rows);
    }
}
